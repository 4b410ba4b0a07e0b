import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** What an archive consists of. */
export const BLOCK_BYTES = 512;
const NAME_BYTES = 100;
const MAX_OCTAL = 0o77777777777;
const READ_BYTES = 1024 * 1024;

/**
 * Yields a directory as a tar archive (ustar), which anybody may read and nobody may write, of root. Names are at most 99
 * bytes long and files below 8 GiB.
 */
export async function* tarOf(directory: string): AsyncGenerator<Buffer, undefined> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => ({ entry, path: join(entry.parentPath, entry.name) }));
  for (const { entry, path } of paths.sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const name = path.slice(directory.length + 1);
    if (entry.isDirectory()) {
      yield header({ name: `${name}/`, mode: 0o755, size: 0, seconds: 0, type: "5" });
      continue;
    }
    const { size, mtimeMs } = await stat(path);
    yield header({ name, mode: 0o444, size, seconds: Math.floor(mtimeMs / 1000), type: "0" });
    if (size > 0) yield* createReadStream(path, { end: size - 1, highWaterMark: READ_BYTES });
    yield Buffer.alloc(paddingOf(size));
  }
  yield Buffer.alloc(2 * BLOCK_BYTES);
}

/** Returns how many zeros follow a file of this size. */
export function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** Returns the size of all files in a directory, those in directories below it too. */
export async function sizeOf(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  const sizes = await Promise.all(files.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Entry of an archive. */
interface Entry {
  name: string;
  mode: number;
  size: number;
  /** When it was changed, since 1970. */
  seconds: number;
  type: string;
}

/** Returns the header of an entry. Of a longer name what comes before its last slash is at most 155 bytes long. */
export function header({ name: path, mode, size, seconds, type }: Entry): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const slash = path.length < NAME_BYTES ? -1 : path.slice(0, -1).lastIndexOf("/");
  const name = path.slice(slash + 1);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  const fields: [offset: number, value: string][] = [
    [0, name],
    [100, octal(mode, 7)],
    [108, octal(0, 7)],
    [116, octal(0, 7)],
    [124, octal(size, 11)],
    [136, octal(seconds, 11)],
    [148, " ".repeat(8)],
    [156, type],
    [257, "ustar\u000000"],
    [345, path.slice(0, Math.max(0, slash))],
  ];
  for (const [offset, value] of fields) block.write(value, offset, "latin1");
  if (size > MAX_OCTAL) {
    // As GNU tar does: a binary number, which the first bit tells.
    block.writeUInt32BE(0x80000000, 124);
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)} `, 148, "latin1");
  return block;
}
