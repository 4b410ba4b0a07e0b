import { expect, test } from "vitest";
import { visible } from "./text.ts";

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
