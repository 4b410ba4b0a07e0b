import { expect, test } from "vitest";
import { isReasonable } from "./json.ts";

const MIB = 1024 * 1024;

test.each([
  ["what Claude asks", JSON.stringify({ model: "m", messages: [{ role: "user", content: 'a "quoted" {[, text\\' }] })],
  ["a large picture", JSON.stringify({ data: "A".repeat(30 * MIB) })],
  ["a text of brackets and commas", JSON.stringify({ text: "[{,".repeat(MIB) })],
  ["a text of quotes and backslashes", JSON.stringify({ text: '\\"[{,\\\\'.repeat(MIB) })],
  ["what is no JSON", '{"a'],
])("takes %s", (_what, json) => expect(isReasonable(Buffer.from(json))).toBe(true));

test.each([
  ["objects that hold nothing", `[${"{},".repeat(MIB)}{}]`],
  ["numbers", `[${"1,".repeat(MIB)}1]`],
  ["members", `{${'"":1,'.repeat(MIB)}"":1}`],
  ["arrays in arrays", "[".repeat(MIB)],
  ["those behind a string that ends in a backslash", `["\\\\",${"{},".repeat(MIB)}{}]`],
])("takes no million of %s", (_what, json) => expect(isReasonable(Buffer.from(json))).toBe(false));
