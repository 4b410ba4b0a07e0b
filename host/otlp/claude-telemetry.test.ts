import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { expect, test } from "vitest";
import { telemetryGateway } from "../broker/telemetry/telemetry-gateway.ts";
import { claudeTelemetry } from "./claude-telemetry.ts";

const BODY = JSON.stringify({ resourceMetrics: [] });

test("a collector that does not answer keeps no more of all sessions' telemetry than there is room for", async () => {
  await using stack = new AsyncDisposableStack();
  const lines: { msg: string; droppedCount: number }[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) });
  const waiting: ((outcome: "taken") => void)[] = [];
  const pushed = new EventTarget();
  const push = () =>
    new Promise<"taken">((resolve) => {
      waiting.push(resolve);
      pushed.dispatchEvent(new Event("pushed"));
    });
  const telemetry = claudeTelemetry({ push }, { logger, maxBytes: 2 * BODY.length });
  let dropped = 0;
  const startSession = async () => {
    const stamp = { attributes: {}, traceId: "0".repeat(32), hostSpans: "c1a5" };
    const server = createServer(telemetryGateway({ ...telemetry, stamp, onDropped: () => dropped++ }));
    stack.defer(() => {
      server.closeAllConnections();
      server.close();
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const headers = { "content-type": "application/json" };
    return async () =>
      (await fetch(`http://127.0.0.1:${port}/v1/metrics`, { method: "POST", headers, body: BODY })).status;
  };
  const [one, other] = [await startSession(), await startSession()];
  const first: Promise<number>[] = [];
  for (const post of [one, other]) {
    const held = once(pushed, "pushed");
    first.push(post());
    await held;
  }
  expect([await one(), await other()]).toEqual([503, 503]);
  expect(dropped).toBe(2);
  expect(lines).toMatchObject([{ msg: expect.stringContaining("telemetry was dropped") as string, droppedCount: 1 }]);
  waiting.forEach((answer) => answer("taken"));
  expect(await Promise.all(first)).toEqual([200, 200]);
  const again = once(pushed, "pushed");
  const last = other();
  await again;
  waiting.at(-1)!("taken");
  expect(await last).toBe(200);
});
