import { expect, test } from "vitest";
import { textParts } from "./plain-text.ts";

test("text that is seen as it is stays as it is", () => {
  for (const text of ["plain", "tab\tand\nline", "Grüße, 你好, שלום, 👩‍🚀".replace("\u200d", ""), "<b>&amp;"]) {
    expect(textParts(text)).toEqual([{ text }]);
  }
  expect(textParts("")).toEqual([]);
});

test.each([
  ["a\u202eb", "U+202E"],
  ["a\u2066b", "U+2066"],
  ["a\u0000b", "U+0000"],
  ["a\u001bb", "U+001B"],
  ["a\rb", "U+000D"],
  ["a\u009bb", "U+009B"],
  ["a\u200bb", "U+200B"],
  ["a\ufeffb", "U+FEFF"],
  ["a\u{e0041}b", "U+E0041"],
  ["a\ud800b", "U+D800"],
])("%j has its hidden character named", (text, hidden) => {
  expect(textParts(text)).toEqual([{ text: "a" }, { hidden }, { text: "b" }]);
});
