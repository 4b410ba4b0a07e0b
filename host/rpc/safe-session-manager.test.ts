import { once } from "node:events";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { collectGarbage } from "../../test/support/collect-garbage.ts";
import { SafeHttp2SessionManager } from "./safe-session-manager.ts";

const CHUNK_BYTES = 48 * 1024;
/** One for all streams, so that it does not count. */
const CHUNK = Buffer.alloc(CHUNK_BYTES, "x");

/** Opens streams each of which has sent as much and then says nothing, and reads what there is. */
async function openStreams(count: number) {
  const server = createServer();
  const answers: ServerHttp2Stream[] = [];
  // The clients go first, without a word.
  server.on("session", (session) => session.on("error", () => {}));
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => {});
    answers.push(stream);
    stream.respond({ ":status": 200 });
    stream.write(CHUNK);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const manager = new SafeHttp2SessionManager(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    manager.abort();
    server.close();
  });
  const open = async () => {
    const stream = await manager.request("GET", "/", {}, {});
    const chunks = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    for (let bytes = 0; bytes < CHUNK_BYTES;) bytes += ((await chunks.next()) as { value: Buffer }).value.length;
    const next = chunks.next();
    next.catch(() => {}); // ends with the connection
    return { chunks, next };
  };
  const streams = [];
  for (let index = 0; index < count; index++) streams.push(await open());
  return { streams, answers };
}

async function usedBytes(): Promise<number> {
  // The second one takes what the first one has finalized.
  for (let time = 0; time < 2; time++) {
    await nextTurn();
    collectGarbage();
  }
  return process.memoryUsage().arrayBuffers;
}

test("a stream that waits holds nothing of what it has read, and goes on", async () => {
  await openStreams(1);
  const before = await usedBytes();
  const { streams, answers } = await openStreams(20);
  expect(((await usedBytes()) - before) / streams.length).toBeLessThan(CHUNK_BYTES / 4);
  answers[7]!.write("more");
  expect(await streams[7]!.next).toMatchObject({ done: false, value: Buffer.from("more") });
  answers[7]!.end();
  expect(await streams[7]!.chunks.next()).toEqual({ done: true, value: undefined });
});

test("whoever leaves a stream ends it", async () => {
  const { streams, answers } = await openStreams(1);
  const closed = once(answers[0]!, "close");
  await streams[0]!.chunks.return!();
  await closed;
  expect(await streams[0]!.next).toMatchObject({ done: true });
});
