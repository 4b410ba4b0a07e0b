import { rmSync } from "node:fs";
import { AppError, type RawPath } from "../../proto/index.ts";
import { rawPathText } from "../present/path-text.ts";
import { nameSome } from "../name-some.ts";
import { ApplyConflictsError, mergeBase, sides } from "./apply-conflicts.ts";
import { copyOld, divideChanges, makeNew, recordChanges } from "./converted-files.ts";
import { copyIndex, IndexLock, readIndex, sameBytes } from "./index-file.ts";
import type { Journal, JournalEntry } from "./journal.ts";
import { mergeTrees } from "./merge-trees.ts";
import { findObstacles } from "./obstacles.ts";
import { isInside } from "./submodule-trees.ts";
import type { PreparedChanges } from "./session-changes.ts";
import { diffTrees, GITLINK, type TreeChange } from "./tree-diff.ts";
import { stageChanges } from "./stage-changes.ts";
import { readTreesNow } from "./tree-now.ts";
import { takeBack } from "./undo.ts";
import { findUnderWay, takeIn, type UserRepository } from "./user-repository.ts";
import { findRepositoryAbove } from "./file-states.ts";
import { FileChangedError, readDirectories, replaceFiles } from "./work-files.ts";

/** Changes that were written into the user's files. */
export interface AppliedWorkTree {
  /** Files that have changed there. Those that the user had alike already are not among them. */
  changes: TreeChange[];
  /** Submodules whose commit the session has changed. Their files are left alone. */
  submodules: RawPath[];
  /** True: the index was changed too. */
  staged: boolean;
}

/**
 * Merges a session's result into the user's files as they are now, all of it or nothing. It never overwrites a file that
 * has changed since it was looked at, that nobody tracks, or that lies behind a link. What was staged stays so; with
 * `stage` the changes are staged too. The journal keeps the old files for an undo. Throws GIT_UNDER_WAY, INDEX_LOCKED,
 * ApplyConflictsError, APPLY_BLOCKED, APPLY_RACED, APPLY_UNFINISHED, NOTHING_TO_APPLY.
 */
export async function applyToWorkTree(
  repository: UserRepository,
  prepared: PreparedChanges,
  { stage, journal, signal }: { stage: boolean; journal: Journal; signal: AbortSignal },
): Promise<AppliedWorkTree> {
  refuseUnderWay(repository);
  if (journal.entries().some(({ record }) => record.state !== "applied")) {
    throw new AppError("APPLY_UNFINISHED", `An apply to ${repository.workTree} was broken off.`, {
      help: "Take it back first: claudecluster undo.",
    });
  }
  const { scratch, treeId, sessionId } = prepared;
  const now = await readTreesNow(repository, prepared, { signal });
  const base = await mergeBase(prepared, now.workTree, { signal });
  const merged = await mergeTrees(scratch, base, sides(now.workTree, treeId), { signal });
  if (merged.conflicts.length > 0) throw new ApplyConflictsError(merged.conflicts, "your files");
  const all = await diffTrees(scratch.place(), [now.workTree, merged.treeId], { signal });
  const isPointer = ({ oldMode, newMode }: TreeChange) => oldMode === GITLINK || newMode === GITLINK;
  const submodules = all.filter(isPointer).map(({ path }) => path);
  const changes = all.filter((change) => !isPointer(change));
  const parts = await divideChanges(repository, changes, { ...now, signal });
  for (const part of parts) refuseUnderWay(part.repository);
  // A submodule has an index of its own, which is left alone; what git ignores stays out of any.
  const isElsewhere = (path: RawPath) => now.submodules.some((submodule) => isInside(submodule, path));
  const stageable = all.filter(({ path }) => !isElsewhere(path) && !now.ignored.includes(path));
  const index = stage ? await stageChanges(repository, prepared, now, stageable, { signal }) : undefined;
  if (changes.length === 0 && index === undefined) {
    const why = submodules.length > 0 ? "Only submodules differ, whose files are left alone." : "";
    throw new AppError("NOTHING_TO_APPLY", `Your files have these changes already. ${why}`.trim());
  }

  const { workTree, gitDirectory, indexFile } = repository;
  const entry = journal.begin({ sessionId, workTree, gitDirectory, files: [] });
  let written = false;
  try {
    const directories = readDirectories(
      workTree,
      changes.map(({ path }) => path),
    );
    Object.assign(entry.record, { directories: [...directories], bytes: 0 });
    const step = { scratch, entry, largeFiles: prepared.largePaths.length > 0, signal };
    const differing: RawPath[] = [];
    const copying = async (): Promise<void> => {
      for (const part of parts) differing.push(...(await copyOld(part, { ...step, treeId: now.workTree })));
    };
    const making = async (): Promise<void> => {
      for (const part of parts) await makeNew(part, { ...step, treeId: merged.treeId });
    };
    // Both are waited for, whatever becomes of the other: what they write is removed then.
    const done = await Promise.allSettled([copying(), making()]);
    for (const each of done) if (each.status === "rejected") throw each.reason;
    if (differing.length > 0) throw raced(differing);
    for (const part of parts) await recordChanges(part, entry);
    await refuseBlocked(workTree, entry, { submodules: now.submodules });
    if (index !== undefined) {
      if (index.before !== undefined) await copyIndex(indexFile, entry.oldIndex);
      entry.record.staged = index.record;
      await takeIn(repository, scratch.place(), { ids: index.objectIds }, { signal });
    }
    signal.throwIfAborted();
    // First: what a killed process leaves of the lock is to be known as ours.
    entry.write("writing");
    {
      using lock = IndexLock.take(indexFile, entry.record.mark);
      refuseUnderWay(repository);
      if (index !== undefined && !sameBytes(await readIndex(indexFile), index.before)) {
        const message = "What is staged was changed meanwhile. Nothing was written.";
        throw new AppError("APPLY_RACED", message, { retryable: true });
      }
      const touched = new Set<RawPath>();
      // What cannot be taken back now can be later: the journal stays, whatever happens from here on.
      written = true;
      try {
        const { mark } = entry.record;
        await replaceFiles(workTree, entry.replacements("apply"), { source: entry.newFiles, mark, touched });
        if (index !== undefined) await lock.replaceIndex(index.after);
      } catch (error) {
        await takeBack(entry, touched);
        written = false;
        throw error;
      }
    }
    // Once the lock is gone: of an apply that is over nobody looks for one.
    entry.write("applied");
    rmSync(entry.newFiles, { recursive: true, force: true });
    return { changes, submodules, staged: stage };
  } catch (error) {
    if (!written) entry.remove();
    if (!(error instanceof FileChangedError)) throw error;
    if (!written) throw raced([error.path], error);
    throw new AppError("APPLY_RACED", `Changed while the changes were being applied: ${rawPathText(error.path)}.`, {
      help: "Not everything could be taken back. See what is there, then: claudecluster undo.",
      cause: error,
    });
  }
}

/** Throws GIT_UNDER_WAY if the user's git is in the middle of something, such as a merge or a rebase. */
function refuseUnderWay(repository: UserRepository): void {
  const what = findUnderWay(repository);
  if (what === undefined) return;
  const message = `${what} is under way: ${repository.workTree} is in the middle of it. Nothing was written.`;
  throw new AppError("GIT_UNDER_WAY", message, {
    help: "Finish or abort it first, or take the changes as a branch: claudecluster apply without --worktree.",
    metadata: { what },
  });
}

/** Throws where something that the user's git does not know is in the way, or a file is not what was looked at. */
async function refuseBlocked(
  workTree: string,
  entry: JournalEntry,
  { submodules }: { submodules: readonly RawPath[] },
): Promise<void> {
  const found = await findObstacles(workTree, entry.replacements("apply"));
  const changed = found.filter(({ why }) => why === undefined);
  if (changed.length > 0) throw raced(changed.map(({ path }) => path));
  for (const { path } of entry.replacements("apply")) {
    const above = findRepositoryAbove(workTree, path, { known: submodules });
    if (above !== undefined) found.push({ path, why: `lies in another repository, ${rawPathText(above)}` });
  }
  if (found.length === 0) return;
  const named = nameSome(found.map(({ path, why }) => `${rawPathText(path)} ${why ?? ""}`));
  throw new AppError("APPLY_BLOCKED", `In the way: ${named}. Nothing was written.`, {
    help: "Move that away, or take the changes as a branch: claudecluster apply without --worktree.",
  });
}

/** Says in which files the staged form, or the file itself, has been changed by somebody else. */
function raced(paths: readonly RawPath[], cause?: unknown): AppError {
  const named = nameSome(paths.map(rawPathText));
  return new AppError("APPLY_RACED", `Changed while the changes were being applied: ${named}. Nothing was written.`, {
    retryable: true,
    help: "Try again when nothing else writes there.",
    cause,
  });
}
