import { AppError } from "../../proto/index.ts";
import { rawPathText } from "../present/path-text.ts";
import { nameSome } from "../name-some.ts";
import { type Conflict, mergeTrees } from "./merge-trees.ts";
import { selectChanges } from "./rebuild-tree.ts";
import { diffTrees } from "./tree-diff.ts";
import type { PreparedChanges } from "./session-changes.ts";
import { readTreesNow } from "./tree-now.ts";
import type { UserRepository } from "./user-repository.ts";

/** APPLY_CONFLICTS: a result that does not go together with what the user has by now. Nothing was written. */
export class ApplyConflictsError extends AppError {
  readonly conflicts: readonly Conflict[];

  constructor(conflicts: readonly Conflict[], where: string) {
    const names = nameSome(conflicts.map(({ path }) => rawPathText(path)));
    super("APPLY_CONFLICTS", `The session's changes do not go together with ${where}: ${names}. Nothing was written.`, {
      help: "Take them as a branch and merge that (claudecluster apply without --worktree), or select other paths.",
      metadata: { paths: names },
    });
    this.conflicts = conflicts;
  }
}

/**
 * Returns the conflicts between a result and the user's files as they are now. Empty: they go together. Nothing of the
 * user's is written. Throws REPOSITORY_UNMERGED.
 */
export async function predictConflicts(
  repository: UserRepository,
  prepared: PreparedChanges,
  { signal }: { signal: AbortSignal },
): Promise<Conflict[]> {
  const { scratch, treeId } = prepared;
  const now = await readTreesNow(repository, prepared, { signal });
  const base = await mergeBase(prepared, now.workTree, { signal });
  return (await mergeTrees(scratch, base, sides(now.workTree, treeId), { signal })).conflicts;
}

/**
 * Returns the tree by which a result is merged with a tree of the user's: its start, with what was taken before where the
 * user's tree is not as at the start. Otherwise both sides would have made the same changes, each its own way.
 */
export async function mergeBase(
  { scratch, start, takenBefore }: PreparedChanges,
  userTreeId: string,
  { signal }: { signal: AbortSignal },
): Promise<string> {
  if (takenBefore.length === 0) return start.treeId;
  const differing = await diffTrees(scratch.place(), [start.treeId, userTreeId], { signal });
  const paths = new Set(differing.map(({ path }) => path));
  return await selectChanges(
    scratch,
    start.treeId,
    takenBefore.filter(({ path }) => paths.has(path)),
    { signal },
  );
}

/** Returns the two sides of a merge, by the names that stand in its marks. */
export function sides(workTree: string, treeId: string) {
  return [
    { name: "yours", treeId: workTree },
    { name: "session", treeId },
  ] as const;
}
