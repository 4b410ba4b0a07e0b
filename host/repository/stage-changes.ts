import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ApplyConflictsError, mergeBase, sides } from "./apply-conflicts.ts";
import { git, type GitPlace } from "./git.ts";
import { copyIndex, hashOf, listIndex, parseStage, readIndex } from "./index-file.ts";
import type { StagedRecord } from "./journal.ts";
import { type Conflict, mergeTrees } from "./merge-trees.ts";
import type { PreparedChanges } from "./session-changes.ts";
import { storeLargeFiles } from "./stored-files.ts";
import { ABSENT, diffTrees, GITLINK, indexInfo, type TreeChange } from "./tree-diff.ts";
import { type UserRepository, userPlace } from "./user-repository.ts";

/** What the index becomes when changes are staged. */
interface StagedIndex {
  /** Undefined: there is none yet. */
  before: Buffer | undefined;
  /** The file of the new one. */
  after: string;
  record: StagedRecord;
  /** What the index names and the user's repository may not have. */
  objectIds: string[];
}

/**
 * Works out the index with the changes in it. A file that is staged otherwise than it lies there gets the session's changes
 * in its staged form. Throws ApplyConflictsError where these do not go together.
 */
export async function stageChanges(
  repository: UserRepository,
  prepared: PreparedChanges,
  now: { index: string; workTree: string },
  changes: readonly TreeChange[],
  { signal }: { signal: AbortSignal },
): Promise<StagedIndex | undefined> {
  const { scratch, treeId } = prepared;
  const place = scratch.place();
  const partly = new Map(
    (await diffTrees(place, [now.index, now.workTree], { signal })).map((change) => [change.path, change]),
  );
  const base = await mergeBase(prepared, now.index, { signal });
  const merged = await mergeTrees(scratch, base, sides(now.index, treeId), { signal });
  const stagedMerge = new Map(
    (await diffTrees(place, [now.index, merged.treeId], { signal })).map((change) => [change.path, change]),
  );
  const inConflict = new Map(merged.conflicts.map((conflict) => [conflict.path, conflict]));
  const staged: TreeChange[] = [];
  const conflicts: Conflict[] = [];
  for (const change of changes) {
    const differing = partly.get(change.path);
    // Not staged at all: the whole file is, then.
    if (differing === undefined || differing.oldMode === ABSENT)
      staged.push({ ...change, ...oldSide(differing, change) });
    else if (inConflict.has(change.path)) conflicts.push(inConflict.get(change.path)!);
    else if (stagedMerge.has(change.path)) staged.push(stagedMerge.get(change.path)!);
  }
  if (conflicts.length > 0) throw new ApplyConflictsError(conflicts, "what you have staged of them");
  if (staged.length === 0) return undefined;
  const stored = await storeLargeFiles(repository, scratch, staged, { signal });
  const indexFile = join(scratch.directory, "staged.index");
  const before = await readIndex(repository.indexFile);
  if (before !== undefined) await copyIndex(repository.indexFile, indexFile);
  const own: GitPlace = { ...userPlace(repository), indexFile, objectDirectory: scratch.objectDirectory };
  const indexed = parseStage(await listIndex(own, { signal }));
  await git(own, ["update-index", "-z", "--index-info"], { signal, input: indexInfo(stored) });
  const listing = await listIndex(own, { signal });
  const side = (mode: string, id: string) => (mode === ABSENT ? "" : `${mode} ${id}`);
  const record: StagedRecord = {
    entries: stored.map(({ path, oldMode, oldId, newMode, newId }, at) => ({
      path,
      // The trees may have the content of a file of Git LFS, whose pointer the index has.
      from: stored[at] === staged[at] ? side(oldMode, oldId) : (indexed.get(path) ?? ""),
      to: side(newMode, newId),
    })),
    sha256: hashOf(await readFile(indexFile)),
    listingSha256: hashOf(listing),
    hadIndex: before !== undefined,
  };
  const added = stored.filter(({ newMode }) => newMode !== ABSENT && newMode !== GITLINK);
  return { before, after: indexFile, record, objectIds: added.map(({ newId }) => newId) };
}

/** What the index holds of a file that is as it lies there, or that it does not hold. */
function oldSide(differing: TreeChange | undefined, change: TreeChange): Pick<TreeChange, "oldMode" | "oldId"> {
  const { oldMode, oldId } = differing ?? change;
  return { oldMode, oldId };
}
