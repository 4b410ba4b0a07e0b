import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { callModel } from "./model-call.ts";
import { WayOut } from "../way-out.ts";

test("an abort in the moment in which the answer ends is no error that nobody catches", async () => {
  const server = createServer((request, response) => {
    request.resume();
    response.end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const wayOut = new WayOut();
  const agents = wayOut.createAgents({ keepAlive: true });
  onTestFinished(() => {
    agents.http.destroy();
    server.close();
  });
  const target = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/messages`);
  for (let count = 0; count < 3; count++) {
    const abort = new AbortController();
    const call = { target, headers: {}, content: Buffer.from("{}"), wayOut, agents, signal: abort.signal };
    const answer = await callModel(call, { onRetry: () => {}, onReach: () => {}, onOwed: () => {} });
    expect(answer.statusCode).toBe(200);
    answer.prependOnceListener("end", () => abort.abort()).resume();
    await once(answer, "close");
    await new Promise(setImmediate);
  }
});
