import { expect, test } from "vitest";
import { textParts, visible } from "./plain-text.ts";

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

test("text stays as it is, with newlines, tabs, accents and emoji", () => {
  const text = "größe\t日本語 👩 ❤️ שלום\n";
  expect(visible(text)).toBe(text);
});

test("what cannot be seen is written out", () => {
  expect(visible("a\x1b[31m\0\r\x7f\x9b")).toBe("a⟨U+001B⟩[31m⟨U+0000⟩⟨U+000D⟩⟨U+007F⟩⟨U+009B⟩");
  expect(visible("\u202e\u2066\u200d\u00ad\u2028\u{e0041}")).toBe("⟨U+202E⟩⟨U+2066⟩⟨U+200D⟩⟨U+00AD⟩⟨U+2028⟩⟨U+E0041⟩");
  expect(visible("❤\ufe0f\ufe0f")).toBe("❤\ufe0f⟨U+FE0F⟩");
  expect(visible("\ud800")).toBe("\ufffd");
});
