import { expect, test } from "vitest";
import { GatheredBytes } from "./gathered-bytes.ts";

const KIB = 1024;
const BYTES = Buffer.alloc(2000 * KIB, "0123456789abcdef_");

test.each([0, 1, 1999, 2000, 2001, 9000])("gives 2000 KiB whole where %d KiB were said to come", (saidKib) => {
  const gathered = new GatheredBytes(saidKib * KIB);
  for (let at = 0; at < BYTES.length; at += 50_000) gathered.push(BYTES.subarray(at, at + 50_000));
  expect(gathered.bytes.equals(BYTES)).toBe(true);
});

test("holds what was said to come in one piece of its size, once half of it is there", () => {
  const gathered = new GatheredBytes(1000 * KIB);
  gathered.push(BYTES.subarray(0, 500 * KIB));
  expect(gathered.bytes.buffer.byteLength).toBe(1000 * KIB);
});

test.each([0, 1e9])("makes room for twice what has come at most, where %d bytes were said to come", (said) => {
  const gathered = new GatheredBytes(said);
  for (let length = 1; length < BYTES.length; length += 50_000) {
    gathered.push(BYTES.subarray(0, length === 1 ? 1 : 50_000));
    expect(gathered.bytes.buffer.byteLength).toBeLessThanOrEqual(2 * length);
  }
});
