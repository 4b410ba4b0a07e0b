import { expect, test } from "vitest";
import { FRAME_HEAD_BYTES, GrpcFrames, writeFrameHead } from "./grpc-frames.ts";

const MAX_BYTES = 1000;

function frame(message: Buffer): Buffer {
  const framed = Buffer.concat([Buffer.alloc(FRAME_HEAD_BYTES), message]);
  writeFrameHead(framed);
  return framed;
}

test("finds the messages however their bytes are cut", () => {
  const messages = [0, 1, 0, 0, 5, 300, MAX_BYTES, 0].map((size, index) => Buffer.alloc(size, index + 1));
  const bytes = Buffer.concat(messages.map(frame));
  for (let pieceBytes = 1; pieceBytes <= bytes.length; pieceBytes += 1 + (pieceBytes >> 3)) {
    const frames = new GrpcFrames(MAX_BYTES);
    const found: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      for (const message of frames.take(bytes.subarray(at, at + pieceBytes))) found.push(Buffer.from(message));
    }
    expect(found).toEqual(messages);
    expect(frames.whole).toBe(true);
  }
});

test("knows a message that was cut", () => {
  const frames = new GrpcFrames(MAX_BYTES);
  expect([...frames.take(frame(Buffer.alloc(10)).subarray(0, -1))]).toEqual([]);
  expect(frames.whole).toBe(false);
});

test("takes none that is too large, or compressed, before it has come", () => {
  const large = frame(Buffer.alloc(MAX_BYTES + 1)).subarray(0, FRAME_HEAD_BYTES);
  expect(() => [...new GrpcFrames(MAX_BYTES).take(large)]).toThrow("larger than any agent's may be");
  const compressed = Buffer.from([1, 0, 0, 0, 1]);
  expect(() => [...new GrpcFrames(MAX_BYTES).take(compressed)]).toThrow("compressed");
});
