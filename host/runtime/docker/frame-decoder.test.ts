import { expect, test } from "vitest";
import { FrameDecoder } from "./frame-decoder.ts";
import { lastLines } from "./log-lines.ts";

function frame(source: number, text: string): Buffer {
  const bytes = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = source;
  header.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
}

const frames = Buffer.concat([frame(1, "hello "), frame(2, "oh no"), frame(1, ""), frame(1, "world\n")]);

function read(chunks: Buffer[]): { stdout: string; stderr: string } {
  const decoder = new FrameDecoder();
  const read = { stdout: "", stderr: "" };
  for (const { source, bytes } of chunks.flatMap((chunk) => decoder.decode(chunk))) read[source] += bytes.toString();
  return read;
}

test("takes frames apart wherever they are cut", () => {
  const whole = { stdout: "hello world\n", stderr: "oh no" };
  expect(read([frames])).toEqual(whole);
  expect(read(Array.from(frames, (byte) => Buffer.of(byte)))).toEqual(whole);
  for (let at = 1; at < frames.length; at++) expect(read([frames.subarray(0, at), frames.subarray(at)])).toEqual(whole);
});

test("hands out views, not copies, and pieces of a frame that has not arrived whole", () => {
  const large = frame(1, "x".repeat(100_000));
  const pieces = new FrameDecoder().decode(large.subarray(0, 50_000));
  expect(pieces).toHaveLength(1);
  expect(pieces[0]?.bytes.length).toBe(49_992);
  expect(pieces[0]?.bytes.buffer).toBe(large.buffer);
});

test("throws for something that is not frames", () => {
  expect(() => new FrameDecoder().decode(Buffer.from("HTTP/1.1 200 OK"))).toThrow(/other than frames/);
});

test("reads the last lines of a log, without what a terminal would obey", () => {
  const lines = Array.from({ length: 30 }, (_, index) => frame(1 + (index % 2), `line ${index}\n`));
  expect(lastLines(Buffer.concat(lines), 20)).toEqual(Array.from({ length: 20 }, (_, index) => `line ${index + 10}`));
  expect(lastLines(frame(1, "\u001b[31mred\u0007 \u009bm\r\n\n  \nend"), 20)).toEqual(["[31mred m", "end"]);
  expect(lastLines(Buffer.alloc(0), 20)).toEqual([]);
});

test("shows the end of a line that is as long as the log, cut", () => {
  const [line, ...others] = lastLines(frame(1, "é".repeat(500_000)), 20);
  expect(others).toEqual([]);
  expect(line?.length).toBeLessThan(1_010);
});
