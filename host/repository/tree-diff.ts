import type { RawPath } from "../../proto/index.ts";
import { git, type GitPlace } from "./git.ts";

/** The mode of a side that does not exist. */
export const ABSENT = "000000";
/** The mode of a submodule: a commit's id where a directory would be. */
export const GITLINK = "160000";
/** The mode of a directory. */
export const DIRECTORY = "040000";
/** The mode of a symbolic link. */
export const SYMLINK = "120000";
/** The mode of a file that can be executed. */
export const EXECUTABLE = "100755";

/** Change of a path between two trees. Nothing is taken for a rename. */
export interface TreeChange {
  path: RawPath;
  oldMode: string;
  newMode: string;
  oldId: string;
  newId: string;
}

/** Returns the changes between two trees, in git's order. */
export async function diffTrees(
  place: GitPlace,
  [from, to]: readonly [from: string, to: string],
  { signal }: { signal: AbortSignal },
): Promise<TreeChange[]> {
  if (from === to) return [];
  return parseTreeDiff(await git(place, ["diff-tree", "-r", ...TREE_DIFF, from, to], { signal }));
}

/** Options of git's diff commands for what `parseTreeDiff` reads. */
export const TREE_DIFF = ["-z", "--raw", "--no-abbrev", "--no-renames"];

/** Parses the changes that git's diff commands write with `TREE_DIFF`. */
export function parseTreeDiff(output: Buffer): TreeChange[] {
  const fields = output.toString("latin1").split("\0");
  const changes: TreeChange[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [oldMode = "", newMode = "", oldId = "", newId = ""] = fields[at]!.slice(1).split(" ");
    changes.push({ path: fields[at + 1]!, oldMode, newMode, oldId, newId });
  }
  return changes;
}

/** Returns the input for `git update-index -z --index-info` that makes the changes in an index. */
export function indexInfo(changes: readonly TreeChange[]): Buffer {
  // What goes comes first: a file may take the place of a directory, and the other way.
  const gone = changes.filter(({ newMode }) => newMode === ABSENT);
  const there = changes.filter(({ newMode }) => newMode !== ABSENT);
  const lines = [
    ...gone.map(({ path, oldId }) => `0 ${oldId}\t${path}\0`),
    ...there.map(({ path, newMode, newId }) => `${newMode} ${newId}\t${path}\0`),
  ];
  return Buffer.from(lines.join(""), "latin1");
}
