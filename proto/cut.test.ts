import { expect, test } from "vitest";
import { cutChars, cutText, lastChars } from "./cut.ts";

test("keeps what fits and cuts between characters", () => {
  expect(cutText("héllo", 100)).toEqual({ text: "héllo", truncated: false, sizeBytes: 6 });
  expect(cutText("hé", 2)).toEqual({ text: "h", truncated: true, sizeBytes: 3 });
  expect(cutText("😀😀", 5)).toEqual({ text: "😀", truncated: true, sizeBytes: 8 });
  expect(cutText("abc", 3)).toEqual({ text: "abc", truncated: false, sizeBytes: 3 });
});

test("makes lone surrogates well-formed, as the wire needs", () => {
  expect(cutText("a\ud800", 100).text).toBe("a\ufffd");
});

test("cuts off no half of a character at either end, and leaves none", () => {
  for (let length = 0; length <= 6; length++) {
    for (const cut of [cutChars("a😀b😀", length), lastChars("😀b😀a", length)]) {
      expect(cut.isWellFormed()).toBe(true);
      expect(cut.length).toBeGreaterThanOrEqual(Math.max(0, length - 1));
      expect(cut.length).toBeLessThanOrEqual(length);
      expect(cut).not.toContain("\ufffd");
    }
  }
  expect(cutChars("a\ud83d", 5)).toBe("a\ufffd");
  expect(lastChars("\ude00a", 5)).toBe("\ufffda");
});
