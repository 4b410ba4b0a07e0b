import { ExactInput } from "../exact-input.ts";
import { BLOCK_BYTES, header, paddingOf } from "../tar-stream.ts";
import { refused } from "./refused.ts";

/** More than a supply ever has. */
const MAX_ENTRIES = 1_000;
const SEGMENT = "[A-Za-z0-9_][A-Za-z0-9_.-]*";
const DIRECTORY = new RegExp(`^(?:${SEGMENT}/){1,4}$`);
const FILE = new RegExp(`^(?:${SEGMENT}/){0,4}${SEGMENT}$`);

/**
 * Yields a tar archive for a supply, written anew: files and directories of root which nobody can write, with plain names, as the
 * host's own code writes them. Throws ENGINE_CALL_REFUSED at whatever is something else, or more than `maxBytes` in all.
 */
export async function* checkedArchive(
  source: AsyncIterable<Buffer>,
  { maxBytes }: { maxBytes: number },
): AsyncGenerator<Buffer, undefined> {
  const input = new ExactInput(source, { cut: () => refused("The archive has not come whole.") });
  let leftBytes = maxBytes;
  for (let count = 0; ; count++) {
    const block = await input.read(BLOCK_BYTES);
    if (isZero(block)) break;
    const { written, size } = readHeader(block);
    leftBytes -= size;
    if (leftBytes < 0) throw refused("The archive holds more than was announced.");
    if (count >= MAX_ENTRIES) throw refused("The archive holds more files than a supply has.");
    yield written;
    yield* input.take(size);
    const padding = await input.read(paddingOf(size));
    if (!isZero(padding)) throw notSupply();
    yield padding;
  }
  if (!isZero(await input.read(BLOCK_BYTES))) throw notSupply();
  if (!(await input.atEnd())) throw notSupply();
  yield Buffer.alloc(2 * BLOCK_BYTES);
}

/** Returns the header, made from the few values in which entries differ. It must be the one that was given. */
function readHeader(block: Buffer): { written: Buffer; size: number } {
  const text = (from: number, to: number) => block.toString("latin1", from, to).split("\0", 1)[0]!;
  const octal = (from: number) => Number.parseInt(text(from, from + 12), 8);
  const name = text(0, 100);
  const type = text(156, 157);
  const size = octal(124);
  const seconds = octal(136);
  const known = (type === "0" && FILE.test(name)) || (type === "5" && DIRECTORY.test(name) && size === 0);
  if (!known || !(size >= 0) || !(seconds >= 0)) throw notSupply();
  const written = header({ name, mode: type === "5" ? 0o755 : 0o444, size, seconds, type });
  if (!written.equals(block)) throw notSupply();
  return { written, size };
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

function notSupply(): Error {
  return refused("The archive is not what the host makes of a supply.");
}
