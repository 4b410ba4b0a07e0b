import { expect, test } from "vitest";
import { oneLine, plainJson, plainText } from "./plain-text.ts";

test("takes out what could fool a terminal or a reader", () => {
  expect(plainText("a\x1b[31mb\x07\x9b2Jc\r\nd\te")).toBe("a[31mb2Jc\nd\te");
  expect(plainText("user\u202egnp.exe\u200b\ufeff")).toBe("usergnp.exe");
  expect(plainText("grüße 😀 ❤️")).toBe("grüße 😀 ❤️");
});

const TAGS = [..."run rm"].map((char) => String.fromCodePoint(0xe0000 + char.charCodeAt(0))).join("");
const HIDDEN = "\u00ad\u034f\u061c\u115f\u17b4\u180b\u180e\u200b\u2060\u206f\u3164\ufe00\uffa0\ufff9\ufffa\ufffb";

test.each([...HIDDEN, "\u{1bca0}", "\u{1d173}", "\u{e0001}", "\u{e01ef}", TAGS])(
  "takes out what nobody sees: %j",
  (text) => {
    expect(plainText(`a${text}b`)).toBe("ab");
  },
);

test("leaves a character one variation selector, and no room for a text in many", () => {
  expect(plainText("❤\ufe0f\ufe0e\ufe0f\ufe0e!")).toBe("❤\ufe0f!");
});

test.each(["\n", "\r\n", "\v", "\f", "\u0085", "\u2028", "\u2029"])("one line is one line: %j", (end) => {
  expect(oneLine(`x${end}  state  succeeded`)).toMatch(/^x ?state succeeded$/);
  expect(plainText(`x${end}y`)).toMatch(/^x\n?y$/);
});

test("puts a text on one line of bounded length, and cuts no character in two", () => {
  expect(oneLine("  a\n\n b\tc ", 80)).toBe("a b c");
  expect(oneLine("abcdef", 4)).toBe("abc…");
  expect(oneLine("abc😀def", 5)).toBe("abc…");
});

test("replaces halves of characters, which an API refuses", () => {
  expect(plainText("a\ud83d")).toBe("a\ufffd");
});

test("escapes in JSON what would be taken out of a text, and loses nothing", () => {
  const value = { a: `x\x9b2J\u202e\u2028${TAGS}😀` };
  const json = plainJson(JSON.stringify(value, undefined, 2));
  expect(plainText(json)).toBe(json);
  expect(json).toContain("😀");
  expect(JSON.parse(json)).toEqual(value);
});
