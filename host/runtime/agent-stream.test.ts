import { once } from "node:events";
import { Duplex, PassThrough, duplexPair } from "node:stream";
import { expect, test } from "vitest";
import { AgentStream } from "./agent-stream.ts";
import { awaitMagic } from "./docker/magic-line.ts";

const lost = { reason: "CONNECTION_LOST", kind: "UNAVAILABLE", retryable: true };

function open(): { stream: AgentStream; far: Duplex } {
  const [near, far] = duplexPair();
  return { stream: new AgentStream(near), far };
}

async function read(stream: Duplex): Promise<string> {
  let text = "";
  for await (const chunk of stream as AsyncIterable<Buffer>) text += chunk.toString();
  return text;
}

test("ends in order when both ends want it", async () => {
  const { stream, far } = open();
  stream.end("question");
  expect(await read(far)).toBe("question");
  far.end("answer");
  expect(await read(stream)).toBe("answer");
  await Promise.all([stream.closed || once(stream, "close")]);
  expect(stream.errored).toBeNull();
});

test("is destroyed by an end that nobody asked for, once everything has been read", async () => {
  const { stream, far } = open();
  far.end("last words");
  await once(stream, "readable");
  await new Promise(setImmediate);
  expect(stream.destroyed).toBe(false);
  const chunks: string[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk.toString()));
  const [error] = (await once(stream, "error")) as [Error];
  expect(error).toMatchObject(lost);
  expect(chunks).toEqual(["last words"]);
});

test("reads what had arrived before a write that fails", async () => {
  const carrier = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback(new Error("EPIPE")) });
  const stream = new AgentStream(carrier);
  carrier.push("last words");
  await once(stream, "readable");
  stream.write("too late");
  await new Promise(setImmediate);
  expect((stream.read() as Buffer).toString()).toBe("last words");
  await expect(once(stream, "close")).rejects.toMatchObject({ ...lost, cause: new Error("EPIPE") });
});

test("reads no more than a little ahead of its reader", async () => {
  const carrier = new PassThrough();
  const stream = new AgentStream(carrier);
  let sent = 0;
  while (carrier.write(Buffer.alloc(16 * 1024))) sent += 16 * 1024;
  await new Promise(setImmediate);
  expect(stream.readableLength + carrier.readableLength).toBeLessThanOrEqual(sent + 16 * 1024);
  expect(stream.readableLength).toBeLessThanOrEqual(128 * 1024);
  stream.destroy();
  expect(carrier.destroyed).toBe(true);
});

test("is destroyed by bytes that make no sense", async () => {
  const [near, far] = duplexPair();
  const stream = new AgentStream(near, () => {
    throw new Error("no sense");
  });
  far.write("x");
  stream.resume();
  await expect(once(stream, "end")).rejects.toMatchObject({ ...lost, cause: new Error("no sense") });
});

test("the magic line is taken off, and what follows it stays", async () => {
  const { stream, far } = open();
  far.write("AGENT-");
  setImmediate(() => far.write("DIAL/1\nPRI * HTTP/2.0"));
  expect(await awaitMagic(stream, { signal: AbortSignal.timeout(5000) })).toBeUndefined();
  const [chunk] = (await once(stream, "data")) as [Buffer];
  expect(chunk.toString()).toBe("PRI * HTTP/2.0");
  expect(["readable", "error"].map((event) => stream.listenerCount(event))).toEqual([0, 0]);
});

test("what comes instead of the magic line is told, up to a bound", async () => {
  const first = open();
  first.far.end("OCI runtime exec failed: no such file");
  const signal = AbortSignal.timeout(5000);
  expect(await awaitMagic(first.stream, { signal })).toBe("OCI runtime exec failed: no such file");
  const second = open();
  second.far.write("x".repeat(100_000));
  expect(await awaitMagic(second.stream, { signal })).toBe("x".repeat(2048));
  expect(second.stream.destroyed).toBe(true);
});

test("waiting for the magic line ends with the signal, and gives the stream up", async () => {
  const { stream } = open();
  const controller = new AbortController();
  const waiting = awaitMagic(stream, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  expect(stream.destroyed).toBe(true);
});
