import { AppError } from "../../proto/index.ts";
import { git, gitLine, tryGit } from "./git.ts";
import type { Journal } from "./journal.ts";
import type { PreparedChanges } from "./session-changes.ts";
import { hasCommit, readIdentity, takeIn, type UserRepository, userPlace } from "./user-repository.ts";

/** Whose commits they are where the user's git does not say. */
const CLAUDE = { name: "Claude", email: "noreply@anthropic.com" };
/** As Claude Code ends the messages of commits that it makes. */
const CO_AUTHOR = `Co-Authored-By: ${CLAUDE.name} <${CLAUDE.email}>`;
/** How far from the start the user's own history may begin: a snapshot's commits lie between. */
const MAX_STEPS = 10;

/** A branch that holds a session's result. */
export interface AppliedBranch {
  branch: string;
  commitId: string;
  /** Undefined: the session started empty. */
  startCommitId: string | undefined;
  author: string;
  /** It was there already, with just this result. */
  already: boolean;
}

/**
 * Makes a branch of one commit on the session's start, and touches nothing else of the user's repository. The commit is the
 * user's, with Claude as co-author. Throws BRANCH_INVALID, BRANCH_EXISTS.
 */
export async function applyToBranch(
  repository: UserRepository,
  prepared: PreparedChanges,
  { branch, message, journal, signal }: { branch: string; message: string; journal: Journal; signal: AbortSignal },
): Promise<AppliedBranch> {
  const { scratch, start, treeId, sessionId } = prepared;
  const place = { ...userPlace(repository), workTree: undefined };
  if ((await tryGit(place, ["check-ref-format", "--branch", branch], { signal })).code !== 0) {
    throw new AppError("BRANCH_INVALID", `"${branch}" is no name for a branch.`, { metadata: { branch } });
  }
  const { name, email } = (await readIdentity(repository, { signal })) ?? CLAUDE;
  const author = `${name} <${email}>`;
  const startCommitId = start.commitId === "" ? undefined : start.commitId;
  const there = await readBranch(repository, branch, { signal });
  if (there !== undefined) {
    const same = there.treeId === treeId && there.parents === start.commitId;
    if (same) return { branch, commitId: there.commitId, startCommitId, author, already: true };
    throw new AppError("BRANCH_EXISTS", `There is a branch ${branch} already, with something else on it.`, {
      help: "Give another name: --branch NAME.",
      metadata: { branch },
    });
  }
  const maker = { ...scratch.place(), config: { ...scratch.place().config, "user.name": name, "user.email": email } };
  const text = `${message}\n\nClaude-Session: ${sessionId}\n${CO_AUTHOR}\n`;
  const parents = startCommitId === undefined ? [] : ["-p", startCommitId];
  const commitId = await gitLine(maker, ["commit-tree", treeId, ...parents, "-F", "-"], { signal, input: text });
  const known = await findKnown(repository, prepared, { signal });
  await takeIn(repository, scratch.place(), { revisions: [commitId, ...known.map((id) => `^${id}`)] }, { signal });
  const { workTree, gitDirectory } = repository;
  const entry = journal.begin({ sessionId, workTree, gitDirectory, branch: { name: branch, commitId }, files: [] });
  // First: a branch that nobody remembers could not be taken back.
  entry.write("applied");
  try {
    const zero = "0".repeat(commitId.length);
    const args = ["update-ref", "--create-reflog", "-m", `claudecluster: apply ${sessionId}`];
    await git(place, [...args, `refs/heads/${branch}`, commitId, zero], { signal });
  } catch (error) {
    entry.remove();
    throw error;
  }
  return { branch, commitId, startCommitId, author, already: false };
}

async function readBranch(
  repository: UserRepository,
  branch: string,
  { signal }: { signal: AbortSignal },
): Promise<{ commitId: string; treeId: string; parents: string } | undefined> {
  const format = "--format=%(objectname) %(tree) %(parent)";
  const line = await gitLine(userPlace(repository), ["for-each-ref", format, `refs/heads/${branch}`], { signal });
  const [, commitId, treeId, parents] = /^(\S+) (\S+) (.*)$/.exec(line) ?? [];
  return commitId === undefined ? undefined : { commitId, treeId: treeId!, parents: parents! };
}

/** Returns a commit below the start, or the start itself, that the user's repository has, if there is one near. */
async function findKnown(
  repository: UserRepository,
  { scratch, start }: PreparedChanges,
  { signal }: { signal: AbortSignal },
): Promise<string[]> {
  if (start.commitId === "") return [];
  const args = ["rev-list", "--first-parent", `--max-count=${MAX_STEPS}`, start.commitId];
  const line = (await git(scratch.place(), args, { signal })).toString().trim().split("\n");
  for (const id of line) if (await hasCommit(repository, id, { signal })) return [id];
  return [];
}
