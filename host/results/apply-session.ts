import { existsSync, realpathSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { AppError, asAppError, type RawPath, TakenChanges_Kind, rawPathOf } from "../../proto/index.ts";
import { givenPathText, rawPathText } from "../present/path-text.ts";
import { applyToBranch, makeBranches } from "../repository/apply-branch.ts";
import { predictConflicts } from "../repository/apply-conflicts.ts";
import { applyToWorkTree } from "../repository/apply-work-tree.ts";
import { Journal } from "../repository/journal.ts";
import { pushBranch, readOwner, requireRemote } from "../repository/push-branch.ts";
import { asCommitted, prepareChanges } from "../repository/session-changes.ts";
import { findRepository, type UserRepository } from "../repository/user-repository.ts";
import type { Sessions } from "../session/sessions.ts";
import { type ApplyReport, describeApply, listFiles, showConflict } from "./apply-report.ts";
import { bringCommits, describeBrought, newBranches } from "./bring-commits.ts";
import { branchName, commitSubject } from "./branch-name.ts";
import { noteTaken } from "./note-taken.ts";
import { requireOwnRepository } from "./own-repository.ts";
import { readTakenBefore } from "./taken-before.ts";
import { createPullRequest, requireGh } from "./pull-request.ts";
import { readSessionChanges } from "./session-patch.ts";

/** Request to apply a session's result. */
export interface ApplyRequest {
  sessionId: string;
  /** Directory in the user's work tree: any of it. */
  directory: string;
  /** Target: a branch of its own, or the user's files. */
  as: "branch" | "worktree";
  /** Name of the branch. Default: made from the task. */
  branch?: string | undefined;
  /** True: changes that go into the files are staged too. */
  stage: boolean;
  /**
   * True: the branch has the commits that Claude made, and what was not committed as one more; what else Claude's repository
   * has (stashes, other branches, worktrees) gets branches beside it. Default: one commit.
   */
  commits?: boolean;
  /** Name of one of those others: a branch for it alone. */
  ref?: string | undefined;
  /** Paths, from the directory, at or below which changes are taken. Empty: all changes. */
  paths: readonly string[];
  /** True: say what would be done, and do nothing. */
  dryRun: boolean;
  /** Remote of the user's repository that the branch is pushed to. Undefined: it is not pushed. */
  push?: string | undefined;
  /** True: a draft of a pull request is made for the branch that was pushed. */
  pullRequest?: boolean;
}

/** Options of an apply. */
export interface ApplyOptions {
  /** State directory of this program, where what was applied is remembered. */
  stateDirectory: string;
  /** Called with the report so far, before anything is written. Not called in a dry run. */
  onPrepared?: (report: ApplyReport) => void;
  signal: AbortSignal;
}

/**
 * Applies a finished session's result to the user's repository: as a branch and nothing else, or merged into the files, all
 * of it or nothing. Throws PATH_OUTSIDE for a path outside of the work tree, and what findRepository, readSessionChanges,
 * prepareChanges, bringCommits, applyToBranch and applyToWorkTree throw.
 */
export async function applySession(
  sessions: Sessions,
  request: ApplyRequest,
  { stateDirectory, onPrepared, signal }: ApplyOptions,
): Promise<ApplyReport> {
  const { sessionId, directory, as, stage, dryRun, commits = false, ref } = request;
  const wanted = commits || ref !== undefined;
  if (wanted && (as !== "branch" || request.paths.length > 0)) {
    throw new AppError(
      "COMMITS_NOT_APPLIED",
      "Commits are taken whole and as branches: not a part, not into the files.",
    );
  }
  const { session, result, changes, startStores } = await readSessionChanges(sessions, sessionId, { stateDirectory });
  const repository = await findRepository(directory, { signal });
  await requireOwnRepository(session, repository, { signal });
  const paths = request.paths.map((path) => rawPath(repository, directory, path));
  const { push: remote, pullRequest = false } = request;
  // Before anything is done.
  if (remote !== undefined) await requireRemote(repository, remote, { signal });
  if (pullRequest) await requireGh(repository.workTree, { signal });
  await using prepared = await prepareChanges(repository, changes, { startStores, paths, mayBeEmpty: wanted, signal });
  const applied = Journal.applied(journalsDirectory(stateDirectory), repository.workTree);
  const finding = { repository, applied, stateDirectory, signal };
  prepared.takenBefore = await readTakenBefore(sessions, session, prepared, finding);
  const report = await describeApply(repository, result, prepared, { signal });
  const task = session.spec?.task ?? "";
  const branch = request.branch ?? branchName({ id: sessionId, task });
  // Not below the branch: git keeps one of the two names only.
  const branchOf = (name: string) =>
    ref === undefined ? `${branch}-${name}` : (request.branch ?? `${branch}-${name}`);
  const bringing = { prepared, repository, branchOf, signal };
  const brought = wanted ? await bringCommits(sessions, { sessionId, result, ref }, bringing) : undefined;
  if (brought !== undefined) Object.assign(report, describeBrought(brought));
  if (
    brought !== undefined &&
    prepared.changes.length === 0 &&
    brought.head === undefined &&
    brought.others.length === 0
  ) {
    throw new AppError("NOTHING_TO_APPLY", "The session has changed no file, and made no commit.");
  }
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
  const note = async (taken: Parameters<Sessions["markTaken"]>[1]) => {
    // With a part of the changes taken, the rest is still to be kept.
    const failed = paths.length > 0 ? undefined : await noteTaken(sessions, sessionId, taken);
    return failed === undefined ? {} : { not_noted: failed };
  };
  using journal = openJournal(stateDirectory, repository);
  const others = brought === undefined ? [] : newBranches(brought);
  const madeBranches = async () => {
    const { scratch, start } = prepared;
    const made = await makeBranches(repository, { scratch, start, sessionId }, { branches: others, journal, signal });
    const { name, commitId } = others[0]!;
    const facts = { branch: name, commit_id: commitId, ...(!made && { already: true }) };
    return { ...report, applied: "branch" as const, ...facts, files: [], file_count: 0 };
  };
  if (ref !== undefined) return await madeBranches();
  if (as === "branch") {
    const mayBeEmpty = brought?.head !== undefined || others.length > 0;
    const { committed, leftOut } = await asCommitted(repository, prepared, { mayBeEmpty, signal });
    const inSubmodules = leftOut.length > 0 && { in_submodules: leftOut.map(rawPathText) };
    // Nothing but those: what is checked out has no part in it.
    if (commits && committed.changes.length === 0 && brought?.head === undefined) {
      return { ...(await madeBranches()), ...inSubmodules };
    }
    const message = brought?.head === undefined ? commitSubject(task) : "What the session left uncommitted";
    const onto = brought?.head;
    const made = await applyToBranch(repository, committed, { branch, message, onto, others, journal, signal });
    const { commitId, startCommitId, author, already } = made;
    const place = branchPlace(branch, repository);
    const noted = await note({ kind: TakenChanges_Kind.BRANCH, place });
    if (remote !== undefined) {
      await pushBranch(repository, { branch, remote }, { signal });
      report.pushed_to = remote;
    }
    if (remote !== undefined && pullRequest) {
      const words = { sessionId, task, answer: result.finalText, runsCode: report.runs_code ?? [] };
      const owner = await readOwner(repository, remote, { signal });
      const options = { branch, owner, directory: repository.workTree, signal };
      report.pull_request = await createPullRequest(words, options);
    }
    return {
      ...report,
      applied: "branch",
      branch,
      commit_id: commitId,
      ...(startCommitId !== undefined && { start_commit_id: startCommitId }),
      author,
      ...listFiles(committed.changes),
      ...inSubmodules,
      ...(already && { already }),
      ...noted,
    };
  }
  const written = await applyToWorkTree(repository, prepared, { stage, journal, signal });
  const { submodules } = written;
  return {
    ...report,
    applied: "worktree",
    staged: written.staged,
    ...listFiles(written.changes),
    ...(submodules.length > 0 && { submodules: submodules.map(rawPathText) }),
    ...(await note({ kind: TakenChanges_Kind.WORK_TREE, place: repository.workTree })),
  };
}

/** Returns where a branch is, as the host notes it. */
export function branchPlace(branch: string, { workTree }: UserRepository): string {
  return `${branch} in ${workTree}`;
}

/** Opens the journal of a user's work tree. Throws as Journal.open. */
export function openJournal(stateDirectory: string, { workTree }: UserRepository): Journal {
  return Journal.open(journalsDirectory(stateDirectory), workTree);
}

/** Returns the directory with the journals of what was applied. */
export function journalsDirectory(stateDirectory: string): string {
  return join(stateDirectory, "applied");
}

/** Returns a path that was named in a directory as it is from the top of the work tree. */
function rawPath({ workTree }: UserRepository, directory: string, given: string): RawPath {
  const base = existsSync(directory) ? realpathSync(directory) : directory;
  const path = relative(workTree, resolve(base, given));
  if (path === ".." || path.startsWith(`..${sep}`) || path.startsWith(sep)) {
    throw new AppError("PATH_OUTSIDE", `${givenPathText(given)} is outside of ${givenPathText(workTree)}.`, {
      metadata: { path: given },
    });
  }
  return rawPathOf(path);
}
