import { AppError, type ListedChanges, quotePath, type RawPath } from "../../proto/index.ts";
import { rawPathText } from "../present/path-text.ts";
import { gitLine, isObjectId, tryGit } from "./git.ts";
import { type RebuiltTree, rebuildTree, selectChanges } from "./rebuild-tree.ts";
import { Scratch } from "./scratch.ts";
import { storeLargeFiles, withPointers } from "./stored-files.ts";
import { type GivenSubmodule, isInside, outermost, replaceSubmodules } from "./submodule-trees.ts";
import { GITLINK, type TreeChange } from "./tree-diff.ts";
import type { UserRepository } from "./user-repository.ts";

/** Changes that a session has left, as they came. Nothing of them is believed. */
export interface SessionChanges {
  sessionId: string;
  /** Commit that the session started from. "": it started empty. */
  startCommitId: string;
  /**
   * Commit that was checked out when a snapshot was taken. "": the snapshot has none below it. Undefined: the start is no
   * snapshot.
   */
  headCommitId?: string | undefined;
  /** Submodules whose files are the start's, in the places of their commits. Default: none. */
  submodules?: readonly GivenSubmodule[];
  /** Files of Git LFS whose content is the start's, in the places of pointers. Default: none. */
  largePaths?: readonly RawPath[];
  /** Address that the start commit can be fetched from, for the help of START_NOT_FOUND. "": none is known. */
  startFrom: string;
  patch: Uint8Array;
  listed: ListedChanges;
  /** Tree that the agent named. "": it named none. */
  treeId: string;
}

/** Start of a session, as it was found. */
export interface Start {
  /** Commit of the start. "": the session started empty. */
  commitId: string;
  treeId: string;
  /** Commit below the snapshot: see SessionChanges. */
  headCommitId: string | undefined;
}

/**
 * Changes of a session as trees in a scratch repository beside the user's. Disposing of them ends that repository, unless
 * the caller gave it.
 */
export interface PreparedChanges extends AsyncDisposable {
  scratch: Scratch;
  sessionId: string;
  start: Start;
  /** Tree of the result, with the selected changes only. */
  treeId: string;
  /** Selected changes. */
  changes: TreeChange[];
  /** Changes of results that the session has gone on from, as they were applied to the user's files before. At first none. */
  takenBefore: readonly TreeChange[];
  /** Files of Git LFS whose content the start has. Where there are any, the trees have content and no pointers. */
  largePaths: readonly RawPath[];
  /** Submodules whose files are in the trees. */
  submodules: readonly GivenSubmodule[];
  /** True: the whole result is the tree that the agent named. False: it has named none. */
  proven: boolean;
}

/**
 * Prepares a session's changes: rebuilds its result on its start, which the user's repository or one of our stores has.
 * Nothing of the user's is written. The caller disposes of the result. Throws START_NOT_FOUND; NOTHING_TO_APPLY if nothing
 * has changed, or nothing at one of the paths; and what rebuildTree throws.
 */
export async function prepareChanges(
  repository: UserRepository,
  session: SessionChanges,
  options: {
    /** Object directories of ours that may have the start. */
    startStores?: readonly string[] | undefined;
    /** Scratch repository of the caller, for results that are to be compared. It stays. Default: a new one. */
    scratch?: Scratch | undefined;
    /** Paths at or below which changes are taken. Default: all changes. */
    paths?: readonly RawPath[] | undefined;
    /** True: it is no error if nothing has changed. Default: false. */
    mayBeEmpty?: boolean;
    signal: AbortSignal;
  },
): Promise<PreparedChanges> {
  const { startStores = [], paths = [], mayBeEmpty = false, signal } = options;
  const { objectFormat, objectDirectory, shallowFile } = repository;
  const borrowed = [objectDirectory, ...startStores];
  const given = options.scratch;
  const scratch = given ?? (await Scratch.create({ objectFormat, borrowed, shallowFile, signal }));
  if (given !== undefined) await given.borrow(startStores);
  const dispose = async () => (given === undefined ? await scratch[Symbol.asyncDispose]() : undefined);
  try {
    const start = await findStart(repository, scratch, session, { signal });
    const rebuilt = await rebuildTree(scratch, start.treeId, session, { signal });
    const selected = await select(scratch, start.treeId, rebuilt, { paths, mayBeEmpty, signal });
    return {
      scratch,
      sessionId: session.sessionId,
      start,
      ...selected,
      takenBefore: [],
      submodules: session.submodules ?? [],
      largePaths: session.largePaths ?? [],
      proven: rebuilt.proven,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/**
 * Returns changes as a commit of the user's holds them: without those in submodules, which have their commits in the trees,
 * and with pointers in the places of files of Git LFS. `leftOut` are the paths of those in submodules. The result is the same
 * scratch repository's: it goes with that of the given ones. Throws NOTHING_TO_APPLY if there are none but those, unless it
 * may be empty.
 */
export async function asCommitted(
  repository: UserRepository,
  prepared: PreparedChanges,
  { mayBeEmpty = false, signal }: { mayBeEmpty?: boolean; signal: AbortSignal },
): Promise<{ committed: PreparedChanges; leftOut: RawPath[] }> {
  const { scratch, start, submodules } = prepared;
  const pointers = outermost(submodules).map(({ path, commitId: id }) => ({ path, mode: GITLINK, id }) as const);
  const isOutside = ({ path }: TreeChange) => !pointers.some((submodule) => isInside(submodule.path, path));
  const outside = prepared.changes.filter(isOutside);
  const leftOut = prepared.changes.filter((change) => !isOutside(change)).map(({ path }) => path);
  if (outside.length === 0 && prepared.changes.length > 0 && !mayBeEmpty) {
    throw new AppError("NOTHING_TO_APPLY", "The session has changed files of submodules alone.", {
      help: "Take them into your files: claudecluster apply --worktree.",
    });
  }
  const changes = await storeLargeFiles(repository, scratch, outside, { signal });
  const startTree = await replaceSubmodules(scratch, start.treeId, pointers, { signal });
  const treeId = await withPointers(scratch, startTree, new Set(prepared.largePaths), { signal });
  const committed = {
    ...prepared,
    start: { ...start, treeId },
    treeId: await selectChanges(scratch, treeId, changes, { signal }),
    changes,
    submodules: [],
    largePaths: [],
  };
  return { committed, leftOut };
}

async function findStart(
  { workTree }: UserRepository,
  scratch: Scratch,
  { startCommitId, headCommitId, startFrom }: SessionChanges,
  { signal }: { signal: AbortSignal },
): Promise<Start> {
  const place = scratch.place();
  if (startCommitId === "") {
    const treeId = await gitLine(place, ["mktree"], { signal, input: "" });
    return { commitId: "", treeId, headCommitId };
  }
  const isId = isObjectId(startCommitId);
  const found = isId
    ? await tryGit(place, ["rev-parse", "--verify", "--quiet", `${startCommitId}^{tree}`], { signal })
    : undefined;
  if (found?.code === 0) {
    return { commitId: startCommitId, treeId: found.stdout.toString().trim(), headCommitId };
  }
  const fetch = startFrom === "" || !isId ? "" : ` Fetch it: git fetch ${startFrom} ${startCommitId}.`;
  const start = isId ? startCommitId : "what is no commit's id";
  throw new AppError("START_NOT_FOUND", `The session started from ${start}, which ${workTree} does not have.`, {
    help: `${fetch} Or write its patch to a file: claudecluster apply --patch FILE.`.trim(),
    metadata: { start_commit_id: startCommitId, work_tree: workTree },
  });
}

async function select(
  scratch: Scratch,
  startTreeId: string,
  { treeId, changes }: RebuiltTree,
  { paths, mayBeEmpty, signal }: { paths: readonly RawPath[]; mayBeEmpty: boolean; signal: AbortSignal },
): Promise<{ treeId: string; changes: TreeChange[] }> {
  const isAt = (of: RawPath, path: RawPath) => of === "" || isInside(of, path);
  const missing = paths.find((of) => !changes.some(({ path }) => isAt(of, path)));
  if (missing !== undefined) {
    throw new AppError("NOTHING_TO_APPLY", `The session has changed nothing at ${rawPathText(missing)}.`, {
      metadata: { path: quotePath(missing) },
    });
  }
  if (changes.length === 0 && !mayBeEmpty) throw new AppError("NOTHING_TO_APPLY", "The session has changed no file.");
  if (paths.length === 0) return { treeId, changes };
  const selected = changes.filter(({ path }) => paths.some((of) => isAt(of, path)));
  return { treeId: await selectChanges(scratch, startTreeId, selected, { signal }), changes: selected };
}
