import { join } from "node:path";
import { gitLine } from "./git.ts";
import type { Scratch } from "./scratch.ts";
import { takeSnapshot } from "./snapshot.ts";
import type { UserRepository } from "./user-repository.ts";

/** Trees of a user's repository as it is now, which a scratch repository can read. */
export interface TreesNow {
  /** Tree of what is staged. */
  index: string;
  /** Tree of the files as they would go into a session: tracked, and untracked that are not ignored. */
  workTree: string;
}

/** Reads the trees without touching the user's repository. Throws REPOSITORY_UNMERGED, and what takeSnapshot throws. */
export async function readTreesNow(
  { workTree: path }: UserRepository,
  scratch: Scratch,
  { signal }: { signal: AbortSignal },
): Promise<TreesNow> {
  const snapshot = await takeSnapshot({ path, storeDirectory: join(scratch.directory, "now.git"), signal });
  await scratch.borrow(snapshot.objectDirectories);
  const treeOf = (commit: string) => gitLine(scratch.place(), ["rev-parse", `${commit}^{tree}`], { signal });
  const [index, workTree] = await Promise.all([treeOf(snapshot.index), treeOf(snapshot.untracked)]);
  return { index, workTree };
}
