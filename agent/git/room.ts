import { statfs } from "node:fs/promises";
import { AppError } from "../../proto/index.ts";

/** Less than this is none. */
const NO_BYTES = 1024 * 1024;

/** What still fits into a directory's file system. */
export interface Room {
  bytes: number;
  files: number;
}

/** Returns how much room is left. */
export async function roomIn(directory: string): Promise<Room> {
  const { bavail, bsize, ffree, files } = await statfs(directory);
  // Some file systems do not count files.
  return { bytes: bavail * bsize, files: files === 0 ? Infinity : ffree };
}

/** Throws WORKSPACE_FULL if that is why something failed: one of the directories has no room left. */
export async function throwIfFull(directories: readonly string[], cause: unknown): Promise<void> {
  for (const directory of directories) {
    const { bytes, files } = await roomIn(directory);
    if (bytes >= NO_BYTES && files > 0) continue;
    throw new AppError("WORKSPACE_FULL", `There is no room left in ${directory}.`, {
      kind: "RESOURCE_EXHAUSTED",
      help: "Give the container a larger workspace, or fetch less history.",
      metadata: { directory },
      cause,
    });
  }
}
