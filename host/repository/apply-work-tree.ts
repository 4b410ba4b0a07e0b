import { rmSync } from "node:fs";
import { join } from "node:path";
import { AppError, joinPaths, quotePath, type RawPath, splitPaths } from "../../proto/index.ts";
import { nameSome } from "../name-some.ts";
import { ApplyConflictsError, sides } from "./apply-conflicts.ts";
import { git, type GitPlace } from "./git.ts";
import { copyIndex, IndexLock, readIndex, sameBytes } from "./index-file.ts";
import type { Journal, JournalEntry } from "./journal.ts";
import { mergeTrees } from "./merge-trees.ts";
import { findObstacles } from "./obstacles.ts";
import type { Scratch } from "./scratch.ts";
import type { PreparedChanges } from "./session-changes.ts";
import { ABSENT, diffTrees, GITLINK, parseTreeDiff, TREE_DIFF, type TreeChange } from "./tree-diff.ts";
import { stageChanges } from "./stage-changes.ts";
import { readTreesNow } from "./tree-now.ts";
import { takeBack } from "./undo.ts";
import { findUnderWay, takeIn, type UserRepository, userPlace } from "./user-repository.ts";
import {
  copyAside,
  FileChangedError,
  findRepositoryAbove,
  readDirectories,
  readState,
  replaceFiles,
  setMode,
} from "./work-files.ts";

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
  const { scratch, start, treeId, sessionId } = prepared;
  const now = await readTreesNow(repository, scratch, { signal });
  const merged = await mergeTrees(scratch, start.treeId, sides(now.workTree, treeId), { signal });
  if (merged.conflicts.length > 0) throw new ApplyConflictsError(merged.conflicts, "your files");
  const all = await diffTrees(scratch.place(), [now.workTree, merged.treeId], { signal });
  const isPointer = ({ oldMode, newMode }: TreeChange) => oldMode === GITLINK || newMode === GITLINK;
  const submodules = all.filter(isPointer).map(({ path }) => path);
  const changes = all.filter((change) => !isPointer(change));
  const index = stage ? await stageChanges(repository, prepared, now, all, { signal }) : undefined;
  if (changes.length === 0 && index === undefined) {
    const why = submodules.length > 0 ? "Only submodules differ, whose files are left alone." : "";
    throw new AppError("NOTHING_TO_APPLY", `Your files have these changes already. ${why}`.trim());
  }

  const { workTree, gitDirectory, indexFile } = repository;
  const entry = journal.begin({ sessionId, workTree, gitDirectory, files: [] });
  let written = false;
  try {
    await copyOld(repository, scratch, entry, { changes, treeId: now.workTree, signal });
    await makeNew(repository, scratch, entry, { changes, treeId: merged.treeId, signal });
    await refuseBlocked(workTree, entry);
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
    throw new AppError("APPLY_RACED", `Changed while the changes were being applied: ${quotePath(error.path)}.`, {
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

/** Where the user's git takes a directory of ours for its work tree, with an index and objects of the scratch repository. */
function ourWorkTree(
  repository: UserRepository,
  scratch: Scratch,
  { directory, index }: { directory: string; index: string },
): GitPlace {
  return {
    ...userPlace(repository),
    cwd: directory,
    workTree: directory,
    objectDirectory: scratch.objectDirectory,
    indexFile: join(scratch.directory, `${index}.index`),
  };
}

/** Copies the files that are to be replaced, and makes sure that the copies are what the merge was made with. */
async function copyOld(
  repository: UserRepository,
  scratch: Scratch,
  entry: JournalEntry,
  { changes, treeId, signal }: { changes: readonly TreeChange[]; treeId: string; signal: AbortSignal },
): Promise<void> {
  const { workTree } = repository;
  const there = changes.filter(({ oldMode }) => oldMode !== ABSENT).map(({ path }) => path);
  const absent: RawPath[] = [];
  let bytes = 0;
  for (const path of there) {
    const { kind } = await readState(workTree, path);
    if (kind === "file" || kind === "link") bytes += await copyAside(workTree, path, entry.oldFiles);
    if (kind === "absent") absent.push(path);
  }
  await refuseSparse(repository, absent, { signal });
  const directories = await readDirectories(
    workTree,
    changes.map(({ path }) => path),
  );
  Object.assign(entry.record, { bytes, directories: [...directories] });
  // Through the user's line ends and filters, as they were taken into the tree.
  const place = ourWorkTree(repository, scratch, { directory: entry.oldFiles, index: "old" });
  await git(place, ["read-tree", treeId], { signal });
  const update = ["update-index", "-z", "--add", "--remove", "--stdin"];
  await git(place, update, { signal, input: joinPaths(there) });
  const differ = parseTreeDiff(await git(place, ["diff-index", "--cached", ...TREE_DIFF, treeId], { signal }));
  if (differ.length > 0) throw raced(differ.map(({ path }) => path));
}

/** Throws APPLY_BLOCKED if one of the files is not there since the user's sparse checkout leaves it out. */
async function refuseSparse(
  repository: UserRepository,
  absent: readonly RawPath[],
  { signal }: { signal: AbortSignal },
): Promise<void> {
  if (absent.length === 0) return;
  const listed = splitPaths(await git(userPlace(repository), ["ls-files", "-v", "-z"], { signal }));
  const sparse = new Set(listed.filter((line) => /^s /i.test(line)).map((line) => line.slice(2)));
  const left = absent.filter((path) => sparse.has(path)).map(quotePath);
  if (left.length === 0) return;
  const what = left.length === 1 ? `${left[0]} is` : `${nameSome(left)} are`;
  throw new AppError("APPLY_BLOCKED", `${what} outside of your sparse checkout. Nothing was written.`, {
    help: "Widen it (git sparse-checkout add), select other paths, or take the changes as a branch.",
  });
}

/** Writes the files as the user's git would, and records what is to become of each. */
async function makeNew(
  repository: UserRepository,
  scratch: Scratch,
  entry: JournalEntry,
  { changes, treeId, signal }: { changes: readonly TreeChange[]; treeId: string; signal: AbortSignal },
): Promise<void> {
  const place: GitPlace = {
    ...ourWorkTree(repository, scratch, { directory: entry.newFiles, index: "new" }),
    // What is out of the user's sparse checkout is written all the same, where it is to be looked at.
    config: { "core.sparseCheckout": "false" },
  };
  await git(place, ["read-tree", treeId], { signal });
  const written = changes.filter(({ newMode }) => newMode !== ABSENT);
  await git(place, ["checkout-index", "-q", "-f", "-z", "--stdin"], {
    signal,
    input: joinPaths(written.map(({ path }) => path)),
  });
  for (const { path, oldMode, newMode } of changes) {
    const from = oldMode === ABSENT ? ({ kind: "absent" } as const) : await readState(entry.oldFiles, path);
    if (from.kind === "file" && oldMode === newMode) await setMode(entry.newFiles, path, from.mode);
    const to = newMode === ABSENT ? ({ kind: "absent" } as const) : await readState(entry.newFiles, path);
    if (newMode !== ABSENT && to.kind === "absent") throw new Error(`git did not write ${quotePath(path)}`);
    entry.record.files.push({ path, from, to });
  }
}

/** Throws where something that the user's git does not know is in the way, or a file is not what was looked at. */
async function refuseBlocked(workTree: string, entry: JournalEntry): Promise<void> {
  const found = await findObstacles(workTree, entry.replacements("apply"));
  const changed = found.filter(({ why }) => why === undefined);
  if (changed.length > 0) throw raced(changed.map(({ path }) => path));
  for (const { path } of entry.replacements("apply")) {
    const above = await findRepositoryAbove(workTree, path);
    if (above !== undefined) found.push({ path, why: `lies in another repository, ${quotePath(above)}` });
  }
  if (found.length === 0) return;
  const named = nameSome(found.map(({ path, why }) => `${quotePath(path)} ${why ?? ""}`));
  throw new AppError("APPLY_BLOCKED", `In the way: ${named}. Nothing was written.`, {
    help: "Move that away, or take the changes as a branch: claudecluster apply without --worktree.",
  });
}

/** Says in which files the staged form, or the file itself, has been changed by somebody else. */
function raced(paths: readonly RawPath[], cause?: unknown): AppError {
  const named = nameSome(paths.map(quotePath));
  return new AppError("APPLY_RACED", `Changed while the changes were being applied: ${named}. Nothing was written.`, {
    retryable: true,
    help: "Try again when nothing else writes there.",
    cause,
  });
}
