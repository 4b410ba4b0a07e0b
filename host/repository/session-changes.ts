import { AppError, type ListedChanges, quotePath, type RawPath } from "../../proto/index.ts";
import { gitLine, tryGit } from "./git.ts";
import { type RebuiltTree, rebuildTree, selectChanges } from "./rebuild-tree.ts";
import { Scratch } from "./scratch.ts";
import type { TreeChange } from "./tree-diff.ts";
import type { UserRepository } from "./user-repository.ts";

/** What a session has left, as it came: nothing of it is believed. */
export interface SessionChanges {
  sessionId: string;
  /** "" if it started empty. */
  startCommitId: string;
  /** What was checked out, where the start is a snapshot on top of that. "" if nothing was, undefined if it is none. */
  headCommitId?: string | undefined;
  /** As people name where that came from, for what to do when it is not there. "" if that is not known. */
  startFrom: string;
  patch: Uint8Array;
  listed: ListedChanges;
  /** The tree that the agent named. "" if it named none. */
  treeId: string;
}

/** What a session started from. */
export interface Start {
  /** "" if it started empty. */
  commitId: string;
  treeId: string;
  /** See SessionChanges. */
  headCommitId: string | undefined;
}

/** A session's result as trees beside a user's repository. The scratch repository holds them, and goes with this. */
export interface PreparedChanges extends AsyncDisposable {
  scratch: Scratch;
  sessionId: string;
  start: Start;
  /** With the selected changes only. */
  treeId: string;
  changes: TreeChange[];
  proven: boolean;
}

/**
 * Rebuilds what a session made of its start, beside a user's repository that has that start, or a store that has. Nothing
 * of the user's is written. Throws START_NOT_FOUND, NOTHING_TO_APPLY, and what rebuildTree throws.
 */
export async function prepareChanges(
  repository: UserRepository,
  session: SessionChanges,
  options: {
    /** Object directories of ours that may have the start. */
    startStores?: readonly string[] | undefined;
    /** One that is there already, for results that are to be compared; it stays. Default: one of its own. */
    scratch?: Scratch | undefined;
    /** Only what is at or below these paths. Default: everything. */
    paths?: readonly RawPath[] | undefined;
    signal: AbortSignal;
  },
): Promise<PreparedChanges> {
  const { startStores = [], paths = [], signal } = options;
  const { objectFormat, objectDirectory, shallowFile } = repository;
  const borrowed = [objectDirectory, ...startStores];
  const given = options.scratch;
  const scratch = given ?? (await Scratch.create({ objectFormat, borrowed, shallowFile, signal }));
  if (given !== undefined) await given.borrow(startStores);
  const dispose = async () => (given === undefined ? await scratch[Symbol.asyncDispose]() : undefined);
  try {
    const start = await findStart(repository, scratch, session, { signal });
    const rebuilt = await rebuildTree(scratch, start.treeId, session, { signal });
    const selected = await select(scratch, start.treeId, rebuilt, { paths, signal });
    return {
      scratch,
      sessionId: session.sessionId,
      start,
      ...selected,
      proven: rebuilt.proven,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
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
  const isId = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(startCommitId);
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
  { paths, signal }: { paths: readonly RawPath[]; signal: AbortSignal },
): Promise<{ treeId: string; changes: TreeChange[] }> {
  const isSelected = (path: RawPath) => paths.some((of) => of === "" || path === of || path.startsWith(`${of}/`));
  const missing = paths.find(
    (of) => !changes.some(({ path }) => of === "" || path === of || path.startsWith(`${of}/`)),
  );
  if (missing !== undefined) {
    throw new AppError("NOTHING_TO_APPLY", `The session has changed nothing at ${quotePath(missing)}.`, {
      metadata: { path: quotePath(missing) },
    });
  }
  if (changes.length === 0) throw new AppError("NOTHING_TO_APPLY", "The session has changed no file.");
  if (paths.length === 0) return { treeId, changes };
  const selected = changes.filter(({ path }) => isSelected(path));
  return { treeId: await selectChanges(scratch, startTreeId, selected, { signal }), changes: selected };
}
