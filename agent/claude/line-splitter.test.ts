import { expect, test } from "vitest";
import { LineSplitter } from "./line-splitter.ts";

function split(splitter: LineSplitter, chunks: (string | Buffer)[]): [line: string, dropped: number][] {
  const lines = [...chunks.flatMap((chunk) => [...splitter.push(Buffer.from(chunk))]), ...splitter.flush()];
  return lines.map(({ bytes, droppedBytes }) => [bytes.toString("latin1"), droppedBytes]);
}

test("finds lines wherever the chunks are cut, and keeps the last one without a line feed", () => {
  const text = "one\ntwo\n\nthree";
  const expected = ["one", "two", "three"].map((line) => [line, 0]);
  for (let cut = 0; cut <= text.length; cut++) {
    expect(split(new LineSplitter(), [text.slice(0, cut), text.slice(cut)])).toEqual(expected);
  }
  expect(split(new LineSplitter(), [...text])).toEqual(expected);
});

test("cuts a line that is too long, says by how much, and finds the next one", () => {
  expect(split(new LineSplitter(4), ["abcd", "efg", "h\nok\nabcd\n", "abcde"])).toEqual([
    ["abcd", 4],
    ["ok", 0],
    ["abcd", 0],
    ["abcd", 1],
  ]);
});

test("leaves bytes that are no text as they are", () => {
  const bytes = Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x0a, 0x28]);
  expect(split(new LineSplitter(), [bytes])).toEqual([
    [bytes.subarray(0, 4).toString("latin1"), 0],
    ["(", 0],
  ]);
});
