import { constants, inflateSync } from "node:zlib";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
const LINE_FEED = 10;
const DIGITS = new Map([...ALPHABET].map((character, value) => [character, value]));
/** No number in a delta takes more bytes. */
const MAX_NUMBER_BYTES = 9;
/** Before the first byte that comes out of it, zlib needs some 600 bytes at most; a line has 52. */
const MAX_LINES = 20;
const LINE_CHARS = 67;

/**
 * Returns how many bytes of memory git would take for the binary files of a patch, by the sizes that the patch declares:
 * a delta of a few bytes may declare any size. A size that cannot be read counts as 0, since git refuses it.
 */
export function binaryBytes(patch: Uint8Array): number {
  const bytes = Buffer.from(patch.buffer, patch.byteOffset, patch.byteLength);
  let sum = 0;
  for (const kind of ["literal ", "delta "]) {
    const mark = `\n${kind}`;
    for (let at = bytes.indexOf(mark); at !== -1; at = bytes.indexOf(mark, at + 1)) {
      const end = bytes.indexOf(LINE_FEED, at + 1);
      if (end === -1) break;
      const declared = Number(bytes.toString("latin1", at + mark.length, end));
      if (!Number.isSafeInteger(declared)) continue;
      sum += declared;
      if (kind === "delta ") {
        sum += resultBytes(bytes.toString("latin1", end + 1, end + 1 + MAX_LINES * LINE_CHARS).split("\n"));
      }
    }
  }
  return sum;
}

/** Reads from a delta's first lines what its result is to have. Without bound where these do not come to it. */
function resultBytes(lines: string[]): number {
  const end = lines.indexOf("");
  try {
    const packed = Buffer.concat(lines.slice(0, end === -1 ? MAX_LINES : end).map(decodeLine));
    const delta = inflateSync(packed, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 64 * 1024 });
    const { end: from } = readNumber(delta, 0);
    return readNumber(delta, from).value;
  } catch {
    return end === -1 ? Number.MAX_SAFE_INTEGER : 0;
  }
}

/** Undoes a line: its first character says how many bytes it has. */
function decodeLine(line: string): Buffer {
  const code = line.charCodeAt(0);
  return decode(line.slice(1)).subarray(0, code <= 90 ? code - 64 : code - 70);
}

/** Undoes git's base 85: five characters for four bytes. */
function decode(text: string): Buffer {
  const bytes = Buffer.alloc(Math.floor(text.length / 5) * 4);
  for (let at = 0; at + 5 <= text.length; at += 5) {
    let value = 0;
    for (const character of text.slice(at, at + 5)) value = value * 85 + (DIGITS.get(character) ?? 0);
    bytes.writeUInt32BE(value >>> 0, (at / 5) * 4);
  }
  return bytes;
}

/** Reads a number of seven bits a byte, the lowest first. */
function readNumber(bytes: Buffer, from: number): { value: number; end: number } {
  let value = 0;
  for (let at = from; at < from + MAX_NUMBER_BYTES; at++) {
    const byte = bytes.readUInt8(at);
    value += (byte & 0x7f) * 2 ** (7 * (at - from));
    if ((byte & 0x80) === 0) return { value, end: at + 1 };
  }
  return { value: Number.MAX_SAFE_INTEGER, end: from };
}
