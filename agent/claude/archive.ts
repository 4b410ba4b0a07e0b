import type { UserFile } from "../../proto/index.ts";

const BLOCK_BYTES = 512;

/** Returns files as an archive that tar unpacks (ustar). Their names have at most 100 bytes, their paths 155. */
export function archive(files: readonly Pick<UserFile, "path" | "data" | "executable">[]): Buffer {
  const parts = files.flatMap((file) => [header(file), file.data, Buffer.alloc(-file.data.length & (BLOCK_BYTES - 1))]);
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK_BYTES)]);
}

/** https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06 */
function header({ path, data, executable }: Pick<UserFile, "path" | "data" | "executable">): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const slash = path.lastIndexOf("/");
  block.write(path.slice(slash + 1), 0);
  block.write(executable ? "0000700" : "0000600", 100);
  block.write("0000000", 108);
  block.write("0000000", 116);
  block.write(data.length.toString(8).padStart(11, "0"), 124);
  block.write("00000000000", 136);
  block.write("        0", 148);
  block.write("ustar\x0000", 257);
  if (slash > 0) block.write(path.slice(0, slash), 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
