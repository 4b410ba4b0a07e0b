import { expect, onTestFinished, test, vi } from "vitest";
import { PushReader } from "./git-push.ts";
import { FLUSH, packet } from "./pkt-line.ts";

const ZERO = "0".repeat(40);
const command = (index: number) => packet(`${ZERO} ${"1".repeat(40)} refs/heads/claude/${index}`);

test("reads a push as it comes: no byte is copied or looked at again for each piece", () => {
  const bytes = Buffer.concat([...Array.from({ length: 1500 }, (_, index) => command(index)), FLUSH]);
  const concat = vi.spyOn(Buffer, "concat");
  const copy = vi.spyOn(Buffer.prototype, "copy");
  const toString = vi.spyOn(Buffer.prototype, "toString");
  onTestFinished(() => void vi.restoreAllMocks());
  const reader = new PushReader();
  for (let at = 0; at < bytes.length - 1; at++) expect.assert(reader.push(bytes.subarray(at, at + 1)) === undefined);
  expect(reader.push(bytes.subarray(-1))?.commands).toHaveLength(1500);
  expect(reader.bytes.equals(bytes)).toBe(true);
  const copied = copy.mock.results.reduce((sum, { value }) => sum + Number(value), 0);
  expect(concat).not.toHaveBeenCalled();
  expect(copied).toBeLessThan(4 * bytes.length);
  expect(toString.mock.calls.length).toBeLessThan(2 * bytes.length);
});

test("takes no more of what is no push than its first line", () => {
  const reader = new PushReader();
  expect(() => reader.push(Buffer.concat([packet("x"), packet("y")]))).toThrow("not a push");
  expect(() => new PushReader().push(Buffer.alloc(300_000, command(1)))).toThrow("too many refs in one push");
});
