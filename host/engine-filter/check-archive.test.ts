import { buffer } from "node:stream/consumers";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { header, sizeOf, tarOf } from "../tar-stream.ts";
import { checkedArchive } from "./check-archive.ts";

const END = Buffer.alloc(1024);
const entry = { name: "objects/pack/pack-1.pack", mode: 0o444, size: 3, seconds: 7, type: "0" };
const content = Buffer.from("abc");
const padded = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
const archive = (change: Partial<typeof entry> = {}, bytes = content) =>
  Buffer.concat([header({ ...entry, size: bytes.length, ...change }), padded(bytes), END]);

async function* inPieces(bytes: Buffer, length: number) {
  for (let at = 0; at < bytes.length; at += length) yield await Promise.resolve(bytes.subarray(at, at + length));
}

const check = (bytes: Buffer, { maxBytes = 1000, length = bytes.length } = {}) =>
  buffer(checkedArchive(inPieces(bytes, length), { maxBytes }));

/** A header with its bytes changed and its sum made right. */
function withBytes(at: number, text: string): Buffer {
  const block = header({ ...entry });
  block.write(text, at, "latin1");
  block.write(" ".repeat(8), 148, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(7, "0")}\0`, 148, "latin1");
  return Buffer.concat([block, padded(content), END]);
}

test("passes on what the host makes of a supply, unchanged, however it comes", async () => {
  const directory = mkdtempSync(join(tmpdir(), "archive-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, "objects/pack"), { recursive: true });
  for (const size of [0, 1, 511, 512, 513, 100_000]) {
    writeFileSync(join(directory, `objects/pack/pack-${size}.pack`), Buffer.alloc(size, "x"));
  }
  writeFileSync(join(directory, "packed-refs"), "refs");
  const whole = await buffer(tarOf(directory));
  const maxBytes = await sizeOf(directory);
  for (const length of [1, 7, 512, 4096, whole.length]) {
    expect((await check(whole, { maxBytes, length })).equals(whole)).toBe(true);
  }
  await expect(check(whole, { maxBytes: maxBytes - 1 })).rejects.toThrow("more than was announced");
});

test("passes nothing on that nothing is in, but its end", async () => {
  expect(await check(END)).toEqual(END);
});

const NAMES = [
  "../x",
  "/etc/passwd",
  "a/../../x",
  "./a",
  "a//b",
  ".git",
  "a/.b",
  "a b",
  "a\n",
  "a\\b",
  "",
  "a/b/c/d/e/f",
  "\u00e9",
];

test.each([
  ...NAMES.map((name) => [`a file called ${JSON.stringify(name)}`, archive({ name })] as const),
  ["a directory called as a file is", archive({ type: "5", name: "a", size: 0 }, Buffer.alloc(0))],
  ["a directory with content", archive({ type: "5", name: "a/" })],
  ["a file called as a directory is", archive({ name: "a/" })],
  ...["1", "2", "3", "4", "6", "7", "g", "x", "L", "K", "S", "\0"].map(
    (type) => [`an entry of the kind ${JSON.stringify(type)}`, archive({ type, size: 0 }, Buffer.alloc(0))] as const,
  ),
  ...[0o644, 0o755, 0o4555, 0o777].map(
    (mode) => [`a file of the mode ${mode.toString(8)}`, archive({ mode })] as const,
  ),
  ["a file of somebody", withBytes(108, "0001750\0")],
  ["a file of somebody's group", withBytes(116, "0001750\0")],
  ["a file of a named user", withBytes(265, "root")],
  ["a name with a start elsewhere", withBytes(345, "../../etc")],
  ["a link's target", withBytes(157, "/etc/passwd")],
  ["a device's number", withBytes(329, "0000010\0")],
  ["a size as other programs write it", withBytes(124, "00000000003 ")],
  ["a size in base 256", withBytes(124, "\x80\0\0\0\0\0\0\0\0\0\0\x03")],
  ["a negative size", withBytes(124, "-0000000003\0")],
  ["a time that is none", withBytes(136, "zzzzzzzzzzz\0")],
  ["something behind a name's end", withBytes(entry.name.length + 1, "/../x")],
  ["another magic", withBytes(257, "ustar  \0")],
  ["a wrong sum", Buffer.concat([Buffer.from(header(entry)).fill("9", 148, 150), padded(content), END])],
  ["something in the padding", Buffer.concat([header(entry), content, Buffer.alloc(509, "x"), END])],
  ["something behind its end", Buffer.concat([archive(), Buffer.from("x")])],
  ["another archive behind its end", Buffer.concat([archive(), archive()])],
  ["half an end", archive().subarray(0, -512)],
  ["no end", archive().subarray(0, -1024)],
  ["a file that is cut", archive().subarray(0, 514)],
  ["a header that is cut", archive().subarray(0, 511)],
  ["nothing", Buffer.alloc(0)],
  ["no tar", Buffer.from("x".repeat(2048))],
  ["more than was announced", archive({}, Buffer.alloc(1001, "x"))],
  ["more than it could ever have", archive({ size: 0o77777777777 }, content)],
  [
    "files without end",
    Buffer.concat([...Array.from({ length: 1001 }, (_, n) => header({ ...entry, name: `f${n}`, size: 0 })), END]),
  ],
] as [string, Buffer][])("refuses %s", async (_what, bytes) => {
  await expect(check(bytes)).rejects.toMatchObject({ reason: "ENGINE_CALL_REFUSED", kind: "PERMISSION_DENIED" });
});
