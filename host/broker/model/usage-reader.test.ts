import { expect, test } from "vitest";
import { UsageReader, worstUsage } from "./usage-reader.ts";

const START = `event: message_start
data: {"type":"message_start","message":{"model":"claude-sonnet-4-6","usage":{"input_tokens":100,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000},"cache_read_input_tokens":10000,"output_tokens":1}}}

`;
const DELTA = `event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"${"words ".repeat(100)}"}}

`;
const END = `event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":200}}

`;

const unread = worstUsage(["claude-opus-4-1"], { bodyBytes: 300, maxTokens: 1000 });

function read(text: string, { streamed = true, pieceBytes = 1e6 } = {}) {
  const reader = new UsageReader("claude-opus-4-1", { streamed, unread });
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
  return reader.usage();
}

test.each([1, 7, 1000, 1e6])("reads a stream that comes in pieces of %d bytes", (pieceBytes) => {
  expect(read(START + DELTA + END, { pieceBytes })).toMatchObject({
    requestCount: 1,
    inputTokenCount: 100n,
    outputTokenCount: 200n,
    cacheWriteTokenCount: 3000n,
    cacheReadTokenCount: 10_000n,
    // Of $3 and $15 a million: sent, kept for five minutes, kept for an hour, read, received.
    costUsd: expect.closeTo((100 * 3 + 1000 * 3.75 + 2000 * 6 + 10_000 * 0.3 + 200 * 15) / 1e6, 9) as number,
  });
});

test("reads a message that is not streamed", () => {
  const body = JSON.stringify({
    type: "message",
    model: "claude-haiku-4-5",
    usage: { input_tokens: 5, output_tokens: 7 },
  });
  expect(read(body, { streamed: false, pieceBytes: 10 })).toMatchObject({
    inputTokenCount: 5n,
    outputTokenCount: 7n,
    costUsd: expect.closeTo((5 + 7 * 5) / 1e6, 9) as number,
  });
});

test("counts what came of an answer that was broken off", () => {
  expect(Number(read(START + DELTA).outputTokenCount)).toBeGreaterThan(100);
  expect(read(START).outputTokenCount).toBe(1n);
});

test("takes the price of the dearest model for one that it does not know", () => {
  const body = JSON.stringify({ type: "message", model: "another", usage: { input_tokens: 0, output_tokens: 10 } });
  expect(read(body, { streamed: false }).costUsd).toBeCloseTo((10 * 75) / 1e6, 9);
});

test.each([
  ["is cut", '{"type":"message","model":"claude-opus-4-1","content":[{"type":"text","te'],
  ["is cut in its last byte", '{"type":"message","usage":{"input_tokens":5,"output_tokens":7}'],
  ["has not begun", ""],
  ["says no usage", '{"type":"message","content":[]}'],
  ["is too large to be read", `{"usage":{"output_tokens":1},"text":"${"x".repeat(8 * 2 ** 20)}"}`],
])("counts what was set aside for a whole answer that %s", (_what, text) => {
  expect(read(text, { streamed: false })).toEqual(unread);
  expect(unread).toMatchObject({ requestCount: 1, inputTokenCount: 100n, outputTokenCount: 1000n });
});

test("counts what was set aside, and what came beyond it, for a stream without a usage", () => {
  for (const text of ["event: ping\n\n", "data: {usage\n\n", 'data: {"type":"message_delta","usage":[1]}\n\n']) {
    expect(read(text)).toEqual(unread);
  }
  const usage = read(DELTA);
  expect(usage.inputTokenCount).toBe(100n);
  expect(Number(usage.outputTokenCount)).toBeGreaterThan(100);
});

test("counts nothing but the request where the answer is that it failed", () => {
  const error = JSON.stringify({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } });
  const nothing = { requestCount: 1, inputTokenCount: 0n, outputTokenCount: 0n, costUsd: 0 };
  expect(read(`event: error\ndata: ${error}\n\n`)).toMatchObject(nothing);
  expect(read(error, { streamed: false })).toMatchObject(nothing);
  // What it used until then is not undone.
  expect(read(`${START}event: error\ndata: ${error}\n\n`)).toMatchObject({ inputTokenCount: 100n });
});

test("tells what broke off a stream, and nothing of one that came whole", () => {
  const failureOf = (text: string) => {
    const reader = new UsageReader("claude-opus-4-1", { streamed: true, unread });
    reader.push(Buffer.from(text));
    reader.usage();
    return reader.failure;
  };
  const error = JSON.stringify({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } });
  expect(failureOf(`${START}event: error\ndata: ${error}\n\n`)).toBe("overloaded_error");
  expect(failureOf(`${START}${DELTA}`)).toBeUndefined();
});

test.each([
  [
    "counts that are none",
    'data: {"type":"message_start","message":{"usage":{"input_tokens":-1,"output_tokens":"7"}}}\n\n',
  ],
  ["more than there can be", 'data: {"type":"message_delta","usage":{"output_tokens":1e300}}\n\n'],
])("does not trip over %s", (_what, text) => {
  expect(read(text)).toMatchObject({ inputTokenCount: 0n, outputTokenCount: 0n });
});

test("keeps nothing of a line without end", () => {
  const reader = new UsageReader("claude-opus-4-1", { streamed: true, unread });
  for (let piece = 0; piece < 100; piece++) reader.push(Buffer.alloc(64 * 1024, "x"));
  reader.push(Buffer.from(`\n${END}`));
  expect(reader.usage().outputTokenCount).toBe(200n);
});
