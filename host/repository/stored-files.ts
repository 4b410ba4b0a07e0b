import { type RawPath, utf8Of } from "../../proto/index.ts";
import { git, gitLine, type GitPlace } from "./git.ts";
import { findLargeFiles, pointerFor } from "./large-files.ts";
import { selectChanges } from "./rebuild-tree.ts";
import type { Scratch } from "./scratch.ts";
import { ABSENT, diffTrees, SYMLINK, type TreeChange } from "./tree-diff.ts";
import { type UserRepository, userPlace } from "./user-repository.ts";

/**
 * Returns changes with files of Git LFS as the user's git stores them: it makes pointers of what a session wrote, by the
 * user's own filter, and keeps the content where that keeps it. Other files stay as they are.
 */
export async function storeLargeFiles(
  repository: UserRepository,
  scratch: Scratch,
  changes: readonly TreeChange[],
  { signal }: { signal: AbortSignal },
): Promise<TreeChange[]> {
  const files = changes.filter(({ newMode }) => newMode !== ABSENT && newMode !== SYMLINK);
  const paths = files.map(({ path }) => path);
  const large = await findLargeFiles(userPlace(repository), paths, { signal });
  const place: GitPlace = { ...userPlace(repository), objectDirectory: scratch.objectDirectory };
  const stored: TreeChange[] = [];
  for (const change of changes) {
    if (!large.has(change.path)) {
      stored.push(change);
      continue;
    }
    const input = await git(scratch.place(), ["cat-file", "blob", change.newId], { signal });
    const args = ["hash-object", "-w", `--path=${utf8Of(change.path)}`, "--stdin"];
    stored.push({ ...change, newId: await gitLine(place, args, { signal, input }) });
  }
  return stored;
}

/** Returns the id of a tree with pointers in the places of files of Git LFS. */
export async function withPointers(
  scratch: Scratch,
  treeId: string,
  paths: ReadonlySet<RawPath>,
  { signal }: { signal: AbortSignal },
): Promise<string> {
  if (paths.size === 0) return treeId;
  const empty = await gitLine(scratch.place(), ["mktree"], { signal, input: "" });
  const files = await diffTrees(scratch.place(), [empty, treeId], { signal });
  const pointers: TreeChange[] = [];
  for (const file of files) {
    if (!paths.has(file.path)) continue;
    pointers.push({ ...file, newId: await pointerFor(scratch.place(), file.newId, { signal }) });
  }
  return await selectChanges(scratch, treeId, pointers, { signal });
}
