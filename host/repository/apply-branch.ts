import { AppError } from "../../proto/index.ts";
import { git, gitLine, type GitPlace, tryGit } from "./git.ts";
import type { Journal } from "./journal.ts";
import type { PreparedChanges } from "./session-changes.ts";
import { readIdentity, takeIn, type UserRepository, userPlace } from "./user-repository.ts";

/** Whose commits they are where the user's git does not say. */
const CLAUDE = { name: "Claude", email: "noreply@anthropic.com" };
/** As Claude Code ends the messages of commits that it makes. */
const CO_AUTHOR = `Co-Authored-By: ${CLAUDE.name} <${CLAUDE.email}>`;
/** Branch that holds a session's result. */
export interface AppliedBranch {
  branch: string;
  commitId: string;
  /** Commit that the branch stands on. Undefined: the session started empty. */
  startCommitId: string | undefined;
  /** Author of the commit, as "Name <address>". */
  author: string;
  /** True: the branch was there before, with this same result. */
  already: boolean;
}

/**
 * Makes a branch of one commit on the session's start. Nothing else of the user's repository is touched. The author is
 * the user, or Claude if the user's git has no name; Claude is the co-author. The journal remembers the branch for an
 * undo. Throws BRANCH_INVALID, BRANCH_EXISTS; START_NOT_FOUND if the user's repository has lost the commit.
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
  const maker = { ...scratch.place(), config: { ...scratch.place().config, "user.name": name, "user.email": email } };
  const startCommitId = await commitOfStart(maker, prepared, { signal });
  const there = await readBranch(repository, branch, { signal });
  if (there !== undefined) {
    const same = there.treeId === treeId && there.start === start.treeId;
    if (same) return { branch, commitId: there.commitId, startCommitId, author, already: true };
    throw new AppError("BRANCH_EXISTS", `There is a branch ${branch} already, with something else on it.`, {
      help: "Give another name: --branch NAME.",
      metadata: { branch },
    });
  }
  // With its first commit HEAD would say that all files are deleted.
  const checkedOut = (await tryGit(place, ["symbolic-ref", "--quiet", "HEAD"], { signal })).stdout.toString().trim();
  if (checkedOut === `refs/heads/${branch}`) {
    throw new AppError("BRANCH_EXISTS", `The branch ${branch} is checked out, and has no commit yet.`, {
      help: "Give another name: --branch NAME.",
      metadata: { branch },
    });
  }
  const text = `${message}\n\nClaude-Session: ${sessionId}\n${CO_AUTHOR}\n`;
  const parents = startCommitId === undefined ? [] : ["-p", startCommitId];
  const commitId = await gitLine(maker, ["commit-tree", treeId, ...parents, "-F", "-"], { signal, input: text });
  // What the branch stands on is there already: the user's own commit.
  const own = start.headCommitId ?? start.commitId;
  if (own !== "" && (await tryGit(place, ["cat-file", "-e", `${own}^{commit}`], { signal })).code !== 0) {
    throw new AppError(
      "START_NOT_FOUND",
      `${repository.workTree} has lost the commit that a branch would stand on: ${own}.`,
      {
        help: "Merge the changes into the files: claudecluster apply --worktree.",
        metadata: { start_commit_id: own, work_tree: repository.workTree },
      },
    );
  }
  await takeIn(repository, scratch.place(), { revisions: [commitId, ...(own === "" ? [] : [`^${own}`])] }, { signal });
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
): Promise<{ commitId: string; treeId: string; start: string } | undefined> {
  const place = userPlace(repository);
  // Not by for-each-ref: that takes all below this name for it, too.
  const found = await tryGit(place, ["rev-parse", "--verify", "--quiet", `refs/heads/${branch}^{commit}`], { signal });
  if (found.code !== 0) return undefined;
  const commitId = found.stdout.toString().trim();
  const treeId = await gitLine(place, ["rev-parse", "--verify", `${commitId}^{tree}`], { signal });
  const parent = await tryGit(place, ["rev-parse", "--verify", "--quiet", `${commitId}^1^{tree}`], { signal });
  // The empty tree is that of no commit.
  const start =
    parent.code === 0
      ? parent.stdout.toString()
      : await gitLine(place, ["hash-object", "-t", "tree", "/dev/null"], { signal });
  return { commitId, treeId, start: start.trim() };
}

/**
 * Returns what the branch stands on: the session's start. Of a snapshot it is the commit that was checked out, with what was
 * not committed as one commit on it, if there was any.
 */
async function commitOfStart(
  maker: GitPlace,
  { start, sessionId }: PreparedChanges,
  { signal }: { signal: AbortSignal },
): Promise<string | undefined> {
  const { commitId, treeId, headCommitId: head } = start;
  if (head === undefined) return commitId === "" ? undefined : commitId;
  const committed = head === "" ? ["mktree"] : ["rev-parse", "--verify", `${head}^{tree}`];
  if ((await gitLine(maker, committed, { signal, input: "" })) === treeId) return head === "" ? undefined : head;
  const parents = head === "" ? [] : ["-p", head];
  const message = `Uncommitted work that a session started with\n\nClaude-Session: ${sessionId}\n`;
  return await gitLine(maker, ["commit-tree", treeId, ...parents, "-F", "-"], { signal, input: message });
}
