import { lstat, readdir } from "node:fs/promises";
import { pathIn, type RawPath } from "../../proto/index.ts";

/** So many files are looked at, of all directories together: enough to say which is the largest, in a moment. */
const MAX_LOOKS = 5000;

/**
 * Measures files and directories, in bytes. After 5000 files of all together it stops counting, so that sizes may be too
 * small. A path that is gone, or cannot be read, has 0.
 */
export async function measure(root: string, paths: readonly RawPath[]): Promise<{ path: RawPath; bytes: number }[]> {
  let looks = 0;
  const bytesOf = async (path: Buffer): Promise<number> => {
    if (looks++ > MAX_LOOKS) return 0;
    try {
      const facts = await lstat(path);
      if (!facts.isDirectory()) return facts.size;
      let bytes = 0;
      for (const name of await readdir(path, { encoding: "buffer" })) {
        if (looks > MAX_LOOKS) break;
        bytes += await bytesOf(Buffer.concat([path, Buffer.from("/"), name]));
      }
      return bytes;
    } catch {
      return 0;
    }
  };
  const measured: { path: RawPath; bytes: number }[] = [];
  for (const path of paths) {
    measured.push({ path, bytes: await bytesOf(pathIn(root, path.replace(/\/$/, ""))) });
  }
  return measured;
}
