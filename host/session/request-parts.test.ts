import { expect, test } from "vitest";
import { parseSize, toDuration, toEgress } from "./request-parts.ts";

test.each([
  ["2g", 2 * 1024 ** 3],
  ["512M", 512 * 1024 ** 2],
  ["1.5GiB", 1.5 * 1024 ** 3],
  ["4096", 4096],
  ["1 gb", 1024 ** 3],
])("reads the size %s", (text, bytes) => expect(parseSize(text)).toBe(bytes));

test.each(["", "-1g", "0", "lots", "1e9", "2gg"])("refuses the size %j", (text) => {
  expect(() => parseSize(text)).toThrow(expect.objectContaining({ reason: "MEMORY_INVALID" }));
});

test("refuses times that no duration can hold, and leaves the others to those who own the bounds", () => {
  for (const seconds of [Infinity, NaN, 1e10]) {
    expect(() => toDuration(seconds)).toThrow(expect.objectContaining({ reason: "TIMEOUT_INVALID" }));
  }
  expect(toDuration(-1.5)).toMatchObject({ seconds: -1n, nanos: -500_000_000 });
});

test("asks for nothing where nothing is given", () => {
  expect([toDuration(undefined), toEgress(undefined, undefined)]).toEqual([undefined, undefined]);
});
