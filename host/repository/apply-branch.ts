import { AppError } from "../../proto/index.ts";
import { git, gitLine, type GitPlace, tryGit } from "./git.ts";
import type { Journal } from "./journal.ts";
import type { BroughtRef } from "./rebuild-commits.ts";
import type { PreparedChanges, Start } from "./session-changes.ts";
import { hasCommit, readIdentity, takeIn, type UserRepository, userPlace } from "./user-repository.ts";

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

/** Branch to make. */
export interface NewBranch {
  name: string;
  commitId: string;
}

/**
 * Makes a branch of one commit on the session's start, or on Claude's own commits; with `others`, those branches too, all or
 * none. Nothing else of the user's repository is touched. The author is the user, or Claude if the user's git has no name;
 * Claude is the co-author. The journal remembers the branches for an undo. Throws BRANCH_INVALID, BRANCH_EXISTS;
 * START_NOT_FOUND if the user's repository has lost the commit.
 */
export async function applyToBranch(
  repository: UserRepository,
  prepared: PreparedChanges,
  options: {
    branch: string;
    message: string;
    /** Commit that Claude made, below the result; it is the result where it has the same files. Default: the start. */
    onto?: BroughtRef | undefined;
    others?: readonly NewBranch[];
    journal: Journal;
    signal: AbortSignal;
  },
): Promise<AppliedBranch> {
  const { branch, message, onto, others = [], journal, signal } = options;
  const { scratch, start, treeId, sessionId } = prepared;
  await requireName(repository, branch, { signal });
  const { name, email } = (await readIdentity(repository, { signal })) ?? CLAUDE;
  const author = `${name} <${email}>`;
  const maker = { ...scratch.place(), config: { ...scratch.place().config, "user.name": name, "user.email": email } };
  const there = await readBranch(repository, branch, { signal });
  const madeBefore = there?.treeId === treeId && there.start === (onto?.treeId ?? start.treeId);
  const startCommitId =
    onto?.commitId ?? (madeBefore ? there.parentId : await commitOfStart(maker, prepared, { signal }));
  let commitId = madeBefore ? there.commitId : undefined;
  if (onto?.treeId === treeId) commitId = onto.commitId;
  if (commitId === undefined) {
    const text = `${message}\n\nClaude-Session: ${sessionId}\n${CO_AUTHOR}\n`;
    const parents = startCommitId === undefined ? [] : ["-p", startCommitId];
    commitId = await gitLine(maker, ["commit-tree", treeId, ...parents, "-F", "-"], { signal, input: text });
  }
  const branches = [{ name: branch, commitId }, ...others];
  const already = !(await makeBranches(repository, prepared, { branches, journal, signal }));
  return { branch, commitId, startCommitId, author, already };
}

/**
 * Makes branches of commits in the scratch repository, all or none. The journal remembers them for an undo. Returns false if
 * all were there before. Throws BRANCH_INVALID, BRANCH_EXISTS.
 */
export async function makeBranches(
  repository: UserRepository,
  { scratch, start, sessionId }: Pick<PreparedChanges, "scratch" | "sessionId"> & { start: Pick<Start, "commitId" | "headCommitId"> }, // prettier-ignore
  { branches, journal, signal }: { branches: readonly NewBranch[]; journal: Journal; signal: AbortSignal },
): Promise<boolean> {
  const place = { ...userPlace(repository), workTree: undefined };
  const missing: NewBranch[] = [];
  for (const each of branches) {
    await requireName(repository, each.name, { signal });
    const there = await readBranch(repository, each.name, { signal });
    if (there === undefined) missing.push(each);
    else if (there.commitId !== each.commitId) {
      throw branchExists(`There is a branch ${each.name} already, with something else on it.`, each.name);
    }
  }
  const [first, ...others] = missing;
  if (first === undefined) return false;
  // With its first commit HEAD would say that all files are deleted.
  const checkedOut = (await tryGit(place, ["symbolic-ref", "--quiet", "HEAD"], { signal })).stdout.toString().trim();
  const inTheWay = missing.find(({ name }) => checkedOut === `refs/heads/${name}`)?.name;
  if (inTheWay !== undefined) {
    throw branchExists(`The branch ${inTheWay} is checked out, and has no commit yet.`, inTheWay);
  }
  // What the branches stand on is there already: the user's own commit.
  const own = start.headCommitId ?? start.commitId;
  if (own !== "" && !(await hasCommit(repository, own, { signal }))) {
    throw new AppError(
      "START_NOT_FOUND",
      `${repository.workTree} has lost the commit that a branch would stand on: ${own}.`,
      {
        help: "Merge the changes into the files: claudecluster apply --worktree.",
        metadata: { start_commit_id: own, work_tree: repository.workTree },
      },
    );
  }
  const revisions = [...missing.map(({ commitId }) => commitId), ...(own === "" ? [] : [`^${own}`])];
  await takeIn(repository, scratch.place(), { revisions }, { signal });
  const { workTree, gitDirectory } = repository;
  const made = { branch: first, ...(others.length > 0 && { otherBranches: others }) };
  const entry = journal.begin({ sessionId, workTree, gitDirectory, ...made, files: [] });
  // First: a branch that nobody remembers could not be taken back.
  entry.write("applied");
  try {
    const args = ["update-ref", "--create-reflog", "-m", `claudecluster: apply ${sessionId}`, "--stdin"];
    const input = missing.map(({ name, commitId }) => `create refs/heads/${name} ${commitId}\n`).join("");
    await git(place, args, { signal, input });
  } catch (error) {
    entry.remove();
    throw error;
  }
  return true;
}

async function requireName(
  repository: UserRepository,
  branch: string,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const place = { ...userPlace(repository), workTree: undefined };
  if ((await tryGit(place, ["check-ref-format", "--branch", branch], { signal })).code === 0) return;
  throw new AppError("BRANCH_INVALID", `"${branch}" is no name for a branch.`, { metadata: { branch } });
}

function branchExists(message: string, branch: string): AppError {
  return new AppError("BRANCH_EXISTS", message, { help: "Give another name: --branch NAME.", metadata: { branch } });
}

async function readBranch(
  repository: UserRepository,
  branch: string,
  { signal }: { signal: AbortSignal },
): Promise<{ commitId: string; treeId: string; start: string; parentId: string | undefined } | undefined> {
  const place = userPlace(repository);
  // Not by for-each-ref: that takes all below this name for it, too.
  const found = await tryGit(place, ["rev-parse", "--verify", "--quiet", `refs/heads/${branch}^{commit}`], { signal });
  if (found.code !== 0) return undefined;
  const commitId = found.stdout.toString().trim();
  const treeId = await gitLine(place, ["rev-parse", "--verify", `${commitId}^{tree}`], { signal });
  const parent = await tryGit(place, ["rev-parse", "--quiet", `${commitId}^1`, `${commitId}^1^{tree}`], { signal });
  const [parentId, parentTree] = parent.code === 0 ? parent.stdout.toString().split("\n") : [];
  // The empty tree is that of no commit.
  const start = parentTree ?? (await gitLine(place, ["hash-object", "-t", "tree", "/dev/null"], { signal }));
  return { commitId, treeId, start, parentId };
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
