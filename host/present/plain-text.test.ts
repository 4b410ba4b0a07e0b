import { expect, test } from "vitest";
import { oneLine, plainText } from "./plain-text.ts";

test("takes out what could fool a terminal or a reader", () => {
  expect(plainText("a\x1b[31mb\x07\x9b2Jc\r\nd\te")).toBe("a[31mb2Jc\nd\te");
  expect(plainText("user\u202egnp.exe\u200b\ufeff")).toBe("usergnp.exe");
  expect(plainText("grüße 😀")).toBe("grüße 😀");
});

test("puts a text on one line of bounded length", () => {
  expect(oneLine("  a\n\n b\tc ", 80)).toBe("a b c");
  expect(oneLine("abcdef", 4)).toBe("abc…");
});
