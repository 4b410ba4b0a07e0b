import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { binaryBytes } from "./binary-sizes.ts";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

/** A line of a binary patch, of at most 26 bytes. */
function line(bytes: Buffer): string {
  const padded = Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
  let text = String.fromCharCode(64 + bytes.length);
  for (let at = 0; at < padded.length; at += 4) {
    let value = padded.readUInt32BE(at);
    let group = "";
    for (let n = 0; n < 5; n++, value = Math.floor(value / 85)) group = ALPHABET[value % 85]! + group;
    text += group;
  }
  return text;
}

test("counts what a delta of some bytes asks for", () => {
  // From 10 bytes to 2 ** 35.
  const delta = Buffer.from([10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x90, 10]);
  const block = `delta ${delta.length}\n${line(deflateSync(delta))}\n\n`;
  const patch = `diff --git a/x b/x\nindex 1..2 100644\nGIT binary patch\n${block}${block}`;
  expect(binaryBytes(Buffer.from(patch))).toBe(2 * (2 ** 35 + delta.length));
  expect(binaryBytes(Buffer.from("\nliteral 3000000000\nx\n"))).toBe(3_000_000_000);
  expect(binaryBytes(Buffer.from("\ndelta 5\n?\n\ndelta x\nliteral"))).toBe(5);
});

test("counts what git itself writes", () => {
  const directory = mkdtempSync(join(tmpdir(), "binary-sizes-"));
  const git = (...args: string[]) => execFileSync("git", args, { cwd: directory });
  try {
    git("init", "-q");
    const content = Buffer.from(Array.from({ length: 40_000 }, (_, n) => (n * n * 7) % 251));
    writeFileSync(join(directory, "x"), content);
    git("add", "x");
    writeFileSync(join(directory, "x"), Buffer.concat([content, Buffer.from("\0more")]));
    const patch = git("diff", "--binary");
    expect(patch.toString("latin1")).toContain("\ndelta ");
    const bytes = binaryBytes(patch);
    expect(bytes).toBeGreaterThanOrEqual(80_005);
    expect(bytes).toBeLessThan(81_000);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("reads what a delta's result is to have wherever that stands", () => {
  const delta = Buffer.from([10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x90, 10]);
  const packed = deflateSync(delta);
  const lines = (bytes: Buffer, size: number): string =>
    bytes.length === 0 ? "\n" : `${line(bytes.subarray(0, size))}\n${lines(bytes.subarray(size), size)}`;
  const empty = Buffer.from([0, 0, 0, 0xff, 0xff]);
  const padded = (count: number) =>
    Buffer.concat([packed.subarray(0, 2), ...Array<Buffer>(count).fill(empty), packed.subarray(2)]);
  for (const [bytes, size] of [
    [packed, 1],
    [padded(40), 26],
    [padded(4000), 26],
  ] as const) {
    expect(binaryBytes(Buffer.from(`\ndelta 9\n${lines(bytes, size)}`))).toBeGreaterThanOrEqual(2 ** 35);
  }
});
