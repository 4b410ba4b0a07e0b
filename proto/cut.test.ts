import { expect, test } from "vitest";
import { cutText } from "./cut.ts";

test("keeps what fits and cuts between characters", () => {
  expect(cutText("héllo", 100)).toEqual({ text: "héllo", truncated: false, sizeBytes: 6 });
  expect(cutText("hé", 2)).toEqual({ text: "h", truncated: true, sizeBytes: 3 });
  expect(cutText("😀😀", 5)).toEqual({ text: "😀", truncated: true, sizeBytes: 8 });
  expect(cutText("abc", 3)).toEqual({ text: "abc", truncated: false, sizeBytes: 3 });
});

test("makes lone surrogates well-formed, as the wire needs", () => {
  expect(cutText("a\ud800", 100).text).toBe("a\ufffd");
});
