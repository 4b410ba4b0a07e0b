import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { AppError } from "../../proto/index.ts";
import { ExactInput } from "../exact-input.ts";
import { BLOCK_BYTES, header, paddingOf } from "../tar-stream.ts";

const READ_BYTES = 1024 * 1024;
/** The last entry: sizes and hashes of all before it. Without it an archive is cut. */
const CHECKSUMS = "checksums";
/** Some hundred bytes for each file. */
const MAX_TEXT_BYTES = 256 * 1024 * 1024;

/** Size and SHA-256 (in hexadecimal digits) of an entry. */
export interface Checked {
  size: number;
  sha256: string;
}

/** Writer of an archive: a tar of named files, with the hash of each at the end. */
export class ArchiveWriter {
  readonly #write: (bytes: Uint8Array) => Promise<void>;
  readonly #checked = new Map<string, Checked>();

  /** `write` resolves once more can be written. */
  constructor(write: (bytes: Uint8Array) => Promise<void>) {
    this.#write = write;
  }

  /** Adds a text. */
  async addText(name: string, text: string): Promise<void> {
    const bytes = Buffer.from(text);
    await this.#add(name, { size: bytes.length, seconds: 0 }, [bytes]);
  }

  /** Adds a file that does not change, and returns its size and hash. Throws the system's errors: ENOENT where it is gone. */
  async addFile(name: string, path: string, { signal }: { signal: AbortSignal }): Promise<Checked> {
    await using file = await open(path, "r");
    const { size, mtimeMs } = await file.stat();
    return await this.#add(name, { size, seconds: Math.floor(mtimeMs / 1000) }, readExactly(file, size, signal));
  }

  /** Ends the archive. */
  async end(): Promise<void> {
    const lines = [...this.#checked].map(([name, { size, sha256 }]) => `${sha256} ${size} ${name}\n`);
    await this.addText(CHECKSUMS, lines.join(""));
    await this.#write(Buffer.alloc(2 * BLOCK_BYTES));
  }

  async #add(
    name: string,
    { size, seconds }: { size: number; seconds: number },
    pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<Checked> {
    const hash = createHash("sha256");
    await this.#write(header({ name, mode: 0o600, size, seconds, type: "0" }));
    for await (const piece of pieces) {
      hash.update(piece);
      await this.#write(piece);
    }
    await this.#write(Buffer.alloc(paddingOf(size)));
    const checked = { size, sha256: hash.digest("hex") };
    this.#checked.set(name, checked);
    return checked;
  }
}

/** Entry of an archive that is read. Its bytes are read before the next one. */
export interface ArchiveEntry {
  name: string;
  size: number;
  bytes: AsyncIterable<Uint8Array>;
}

/**
 * Reads an archive that ArchiveWriter has written, entry by entry, and at its end holds all of it against its checksums.
 * Returns these. Throws BACKUP_INVALID for what is none, is cut or was changed; what was read until then does not count.
 */
export async function* readArchive(
  input: AsyncIterable<Buffer>,
): AsyncGenerator<ArchiveEntry, Map<string, Checked>, undefined> {
  const source = new ExactInput(input, { cut: () => invalid("it is cut") });
  const found = new Map<string, Checked>();
  for (;;) {
    const { name, size } = parseHeader(await source.read(BLOCK_BYTES));
    if (found.has(name)) throw invalid(`it has two files ${name}`);
    const hash = createHash("sha256");
    if (name === CHECKSUMS) {
      const text = size > MAX_TEXT_BYTES ? "" : (await source.read(size)).toString("utf8");
      const expected = [...found].map(([name, { size, sha256 }]) => `${sha256} ${size} ${name}\n`).join("");
      if (text !== expected) throw invalid("its files are not as they were");
      await readZeros(source, paddingOf(size) + 2 * BLOCK_BYTES);
      return found;
    }
    const entry = { read: 0 };
    yield { name, size, bytes: hashed(source.take(size), hash, entry) };
    if (entry.read !== size) throw new Error(`${name} was not read`);
    await readZeros(source, paddingOf(size));
    found.set(name, { size, sha256: hash.digest("hex") });
  }
}

/** Returns the error for a file that is no backup, or not as it was written. */
export function invalid(why: string): AppError {
  return new AppError("BACKUP_INVALID", `This is no whole backup: ${why}.`, {
    help: "Nothing was changed. Take another one, or copy it again.",
  });
}

/** Reads what is between files and at the end. */
async function readZeros(source: ExactInput, size: number): Promise<void> {
  if ((await source.read(size)).some((byte) => byte !== 0)) throw invalid("it is damaged");
}

async function* readExactly(file: FileHandle, size: number, signal: AbortSignal): AsyncGenerator<Buffer, undefined> {
  for (let at = 0; at < size;) {
    signal.throwIfAborted();
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(READ_BYTES, size - at)));
    if (bytesRead === 0) throw new Error("a file was cut while it was read");
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* hashed(
  pieces: AsyncIterable<Uint8Array>,
  hash: Hash,
  entry: { read: number },
): AsyncGenerator<Uint8Array, undefined> {
  for await (const piece of pieces) {
    hash.update(piece);
    entry.read += piece.length;
    yield piece;
  }
}

function parseHeader(block: Buffer): { name: string; size: number } {
  const text = (from: number, to: number) => block.toString("latin1", from, to).replace(/\0.*$/s, "");
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  const right = text(257, 263) === "ustar" && text(156, 157) === "0" && parseInt(text(148, 156), 8) === sum;
  if (!right) throw invalid("it is of another kind, or damaged");
  const prefix = text(345, 500);
  const size = block[124] === 0x80 ? Number(block.readBigUInt64BE(128)) : parseInt(text(124, 136), 8);
  if (!Number.isSafeInteger(size) || size < 0) throw invalid("it is damaged");
  return { name: `${prefix === "" ? "" : `${prefix}/`}${text(0, 100)}`, size };
}
