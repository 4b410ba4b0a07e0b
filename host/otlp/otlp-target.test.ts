import { pino } from "pino";
import { expect, test } from "vitest";
import { startOtlpReceiver } from "../../test/support/otlp-receiver.ts";
import { WayOut } from "../broker/way-out.ts";
import { OtlpTarget } from "./otlp-target.ts";

test("what a collector takes and refuses by turns does not fill the log", async () => {
  await using receiver = await startOtlpReceiver();
  const log: { msg: string }[] = [];
  const logger = pino({}, { write: (line: string) => void log.push(JSON.parse(line) as { msg: string }) });
  const otlp = { endpoint: receiver.url, interval_seconds: 60, traces: true, claude: true, headers: {} };
  const target = new OtlpTarget({ otlp, wayOut: new WayOut(), logger });
  const outcomes = new Set<string>();
  for (let count = 0; count < 25; count++) {
    for (const status of [400, 503, 200]) {
      receiver.answer(status);
      outcomes.add(await target.push("logs", Buffer.from("{}")));
    }
  }
  expect([...outcomes]).toEqual(["refused", "failed", "taken"]);
  expect(log.map(({ msg }) => msg)).toEqual(Array(20).fill("logs not pushed"));
});
