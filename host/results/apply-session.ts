import { existsSync, realpathSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { AppError, asAppError, isFinal, quotePath, type RawPath, type Session } from "../../proto/index.ts";
import { notInPatch } from "../present/not-in-patch.ts";
import { patchNotes } from "../present/patch-notes.ts";
import { pathText } from "../present/path-text.ts";
import { findRunsCode } from "../present/runs-code.ts";
import { applyToBranch } from "../repository/apply-branch.ts";
import { applyToWorkTree, predictConflicts } from "../repository/apply-work-tree.ts";
import { git } from "../repository/git.ts";
import { Journal } from "../repository/journal.ts";
import type { Conflict } from "../repository/merge-trees.ts";
import { type PreparedChanges, prepareChanges } from "../repository/session-changes.ts";
import { ABSENT, type TreeChange } from "../repository/tree-diff.ts";
import { undoApply } from "../repository/undo.ts";
import { findRepository, type UserRepository } from "../repository/user-repository.ts";
import type { Sessions } from "../session/sessions.ts";
import { branchName, commitSubject } from "./branch-name.ts";
import { readSessionChanges } from "./session-patch.ts";

/** No package.json is larger (bytes). */
const MAX_TEXT_BYTES = 1024 * 1024;
/** As many files are listed. */
const MAX_FILES = 100;

/** How a session's result is to be taken. */
export interface ApplyRequest {
  sessionId: string;
  /** Any directory of the user's work tree. */
  directory: string;
  /** A branch of its own (default), or the user's files. */
  as: "branch" | "worktree";
  /** The branch's name. Default: made from the task. */
  branch?: string | undefined;
  /** Into the files: stage the changes too. */
  stage: boolean;
  /** Only what is at or below these, from the directory. Empty: everything. */
  paths: readonly string[];
  /** Say what would be done, and do nothing. */
  dryRun: boolean;
}

/** What has been done, or would be, as plain JSON. */
export interface ApplyReport {
  session_id: string;
  /** "branch", "worktree", or "nothing" of a dry run. */
  applied: "branch" | "worktree" | "nothing";
  repository: string;
  branch?: string;
  commit_id?: string;
  /** The branch was there already, with just this. */
  already?: boolean;
  start_commit_id?: string;
  author?: string;
  staged?: boolean;
  files: { path: string; kind: "added" | "modified" | "deleted" }[];
  file_count: number;
  /** Files that run something on the user's machine, or decide what runs, and why. */
  runs_code?: { path: string; why: string }[];
  /** Of a branch and a dry run: what would not go together with the user's files as they are now. */
  conflicts?: ShownConflict[];
  /** Submodules whose commit has changed, but not their files. */
  submodules?: string[];
  /** What has to be known of the result. */
  notes?: string[];
  /** What the result does not hold. */
  not_in_patch?: string[];
}

/** A conflict as people and programs are shown it. */
export interface ShownConflict {
  path: string;
  messages: string[];
  hunks: string[];
}

/** Returns a conflict as it is shown: the texts come from the user's files and from the container. */
export function showConflict({ path, messages, hunks }: Conflict): ShownConflict {
  return { path: pathText(quotePath(path)), messages: [...messages], hunks: [...hunks] };
}

export interface ApplyOptions {
  /** Of this program: what was applied is remembered there. */
  stateDirectory: string;
  /** Called with what is known, before anything is written. */
  onPrepared?: (report: ApplyReport) => void;
  signal: AbortSignal;
}

/**
 * Takes a finished session's result into the user's repository: as a branch and nothing else, or merged into the files. All of
 * it or nothing. Throws as readSessionChanges, prepareChanges, applyToBranch, applyToWorkTree; PATH_OUTSIDE.
 */
export async function applySession(
  sessions: Sessions,
  request: ApplyRequest,
  { stateDirectory, onPrepared, signal }: ApplyOptions,
): Promise<ApplyReport> {
  const { sessionId, directory, as, stage, dryRun } = request;
  const { session, changes, startStores } = await readSessionChanges(sessions, sessionId, { stateDirectory });
  const repository = await findRepository(directory, { signal });
  const paths = request.paths.map((path) => rawPath(repository, directory, path));
  await using prepared = await prepareChanges(repository, changes, { startStores, paths, signal });
  const report = await describe(repository, session, prepared, { signal });
  if (dryRun || as === "branch") {
    const conflicts = await predictConflicts(repository, prepared, { signal }).catch((error: unknown) => {
      // A branch can be made all the same.
      if (dryRun || asAppError(error).reason !== "REPOSITORY_UNMERGED") throw error;
      return [];
    });
    if (conflicts.length > 0) report.conflicts = conflicts.map(showConflict);
  }
  if (dryRun) return report;
  onPrepared?.(report);
  using journal = openJournal(stateDirectory, repository);
  if (as === "branch") {
    const task = session.spec?.task ?? "";
    const branch = request.branch ?? branchName({ id: sessionId, task });
    const made = await applyToBranch(repository, prepared, { branch, message: commitSubject(task), journal, signal });
    const { commitId, startCommitId, author, already } = made;
    return {
      ...report,
      applied: "branch",
      branch,
      commit_id: commitId,
      ...(startCommitId !== undefined && { start_commit_id: startCommitId }),
      author,
      ...(already && { already }),
    };
  }
  const written = await applyToWorkTree(repository, prepared, { stage, journal, signal });
  const { submodules } = written;
  return {
    ...report,
    applied: "worktree",
    staged: written.staged,
    ...listFiles(written.changes),
    ...(submodules.length > 0 && { submodules: submodules.map(shown) }),
  };
}

/** What was taken back, as plain JSON. */
export interface UndoReport {
  session_id: string;
  repository: string;
  branch?: string;
  file_count: number;
  /** It had been broken off. */
  unfinished?: boolean;
}

/** Takes back the last apply to the work tree that a directory is in, or the last of a session. Throws as undoApply. */
export async function undoSession(
  { sessionId, directory }: { sessionId: string | undefined; directory: string },
  { stateDirectory, signal }: Pick<ApplyOptions, "stateDirectory" | "signal">,
): Promise<UndoReport> {
  const repository = await findRepository(directory, { signal });
  using journal = openJournal(stateDirectory, repository);
  const { branch, fileCount, unfinished, ...undone } = await undoApply(repository, { journal, sessionId, signal });
  return {
    session_id: undone.sessionId,
    repository: repository.workTree,
    ...(branch !== undefined && { branch }),
    file_count: fileCount,
    ...(unfinished && { unfinished }),
  };
}

function openJournal(stateDirectory: string, { workTree }: UserRepository): Journal {
  return Journal.open(join(stateDirectory, "applied"), workTree);
}

async function describe(
  { workTree: repository }: UserRepository,
  { id, result, state }: Session,
  prepared: PreparedChanges,
  { signal }: { signal: AbortSignal },
): Promise<ApplyReport> {
  const runs = findRunsCode(await withTexts(prepared, { signal }));
  const notes = result === undefined || !isFinal(state) ? [] : [...patchNotes(result)];
  if (!prepared.proven) {
    notes.push(
      "Not proven: the session's agent has not named the tree, so nobody knows whether the patch is all there was.",
    );
  }
  const missing = result === undefined ? [] : notInPatch(result);
  return {
    session_id: id,
    applied: "nothing",
    repository,
    ...listFiles(prepared.changes),
    ...(runs.length > 0 && { runs_code: runs.map(({ path, why }) => ({ path: shown(path), why })) }),
    ...(notes.length > 0 && { notes }),
    ...(missing.length > 0 && { not_in_patch: missing }),
  };
}

function listFiles(changes: readonly TreeChange[]): Pick<ApplyReport, "files" | "file_count"> {
  const files = changes.slice(0, MAX_FILES).map(({ path, oldMode, newMode }) => {
    const kind = oldMode === ABSENT ? "added" : newMode === ABSENT ? "deleted" : "modified";
    return { path: shown(path), kind } as const;
  });
  return { files, file_count: changes.length };
}

function shown(path: RawPath): string {
  return pathText(quotePath(path));
}

/** Adds what a package.json holds, before and after. */
async function withTexts({ scratch, changes }: PreparedChanges, { signal }: { signal: AbortSignal }) {
  const place = scratch.place();
  const read = async (mode: string, id: string): Promise<string> => {
    if (mode === ABSENT || mode === "160000") return "";
    const options = { signal, maxOutputBytes: MAX_TEXT_BYTES };
    // What is larger is another text each time.
    return (await git(place, ["cat-file", "blob", id], options).catch(() => Buffer.from(id))).toString();
  };
  return await Promise.all(
    changes.map(async (change) => {
      if (!/(^|\/)package\.json$/i.test(change.path)) return change;
      const { oldMode, oldId, newMode, newId } = change;
      const [before, after] = await Promise.all([read(oldMode, oldId), read(newMode, newId)]);
      return { ...change, texts: { before, after } };
    }),
  );
}

/** Returns a path that was named in a directory as it is from the top of the work tree. */
function rawPath({ workTree }: UserRepository, directory: string, given: string): RawPath {
  const base = existsSync(directory) ? realpathSync(directory) : directory;
  const path = relative(workTree, resolve(base, given));
  if (path === ".." || path.startsWith(`..${sep}`) || path.startsWith(sep)) {
    throw new AppError("PATH_OUTSIDE", `${given} is outside of ${workTree}.`, { metadata: { path: given } });
  }
  return Buffer.from(path).toString("latin1");
}
