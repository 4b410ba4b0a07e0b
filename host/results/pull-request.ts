import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { AppError, cutChars, lastLine } from "../../proto/index.ts";
import { fenced } from "../present/fenced.ts";
import { oneLine, plainText } from "../present/plain-text.ts";
import { commitSubject } from "./branch-name.ts";

/** Of the task, and of Claude's answer, so much is in a pull request. GitHub takes 65,536 characters of everything. */
const MAX_TEXT_CHARS = 12_000;
/** As many files that run something are named there. */
const MAX_FILES = 50;

/** Words of a pull request. */
export interface PullRequestText {
  sessionId: string;
  task: string;
  /** Claude's last answer. */
  answer: string;
  runsCode: readonly { path: string; why: string }[];
}

/** Throws PULL_REQUEST_FAILED if GitHub's command line, gh, is not there or not logged in. */
export async function requireGh(directory: string, { signal }: { signal: AbortSignal }): Promise<void> {
  const { code, stderr } = await gh(["auth", "status"], { directory, signal });
  if (code === 0) return;
  throw new AppError("PULL_REQUEST_FAILED", `gh is not logged in: ${lastLine(stderr)}. Nothing was done.`, {
    help: "Log in (gh auth login), or push alone: claudecluster apply --push.",
  });
}

/**
 * Makes a draft of a pull request for a branch that was pushed, by gh, and returns its URL. `owner` is of the repository that
 * it was pushed to, where that is known. Throws PULL_REQUEST_FAILED.
 */
export async function createPullRequest(
  given: PullRequestText,
  {
    branch,
    owner,
    directory,
    signal,
  }: { branch: string; owner: string | undefined; directory: string; signal: AbortSignal },
): Promise<string> {
  const head = owner === undefined ? branch : `${owner}:${branch}`;
  const title = oneLine(commitSubject(given.task));
  const args = ["pr", "create", "--draft", "--head", head, "--title", title, "--body-file", "-"];
  const { code, stdout, stderr } = await gh(args, { directory, signal, input: pullRequestBody(given) });
  if (code === 0) return oneLine(stdout, 500);
  throw new AppError(
    "PULL_REQUEST_FAILED",
    `The branch ${branch} is pushed, but gh made no pull request: ${lastLine(stderr)}`,
    {
      help: `Make it yourself: gh pr create --draft --head ${head}.`,
      metadata: { branch },
    },
  );
}

/** Returns the text of a pull request. What was said in a container, and the task, are in blocks: nobody is mentioned, nothing is closed. */
function pullRequestBody({ sessionId, task, answer, runsCode }: PullRequestText): string {
  const block = (words: string) => fenced(cutChars(plainText(words).trim(), MAX_TEXT_CHARS), "text");
  const files = runsCode.slice(0, MAX_FILES).map(({ path, why }) => `${path}: ${why}`);
  if (runsCode.length > files.length) files.push(`and ${runsCode.length - files.length} more`);
  const parts = [
    `Changed by Claude in a container (session ${sessionId}), and not reviewed yet. The task was:`,
    block(task),
    ...(answer.trim() === "" ? [] : ["Claude's answer:", block(answer)]),
    ...(files.length === 0 ? [] : ["Runs on a machine, or decides what runs there:", block(files.join("\n"))]),
  ];
  return `${parts.join("\n\n")}\n`;
}

/** Runs gh as the user would, but for its questions. */
async function gh(
  args: readonly string[],
  { directory, signal, input = "" }: { directory: string; signal: AbortSignal; input?: string },
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const env = { ...process.env, GH_PROMPT_DISABLED: "1", NO_COLOR: "1" };
  const child = spawn("gh", args, { cwd: directory, env, signal });
  const ended = new Promise<number | null>((resolve, reject) => child.on("close", resolve).on("error", reject));
  // It need not read its input.
  child.stdin.on("error", () => undefined).end(input);
  try {
    const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
    return { code, stdout, stderr };
  } catch (cause) {
    signal.throwIfAborted();
    throw new AppError("PULL_REQUEST_FAILED", "There is no gh, GitHub's command line, on the PATH.", {
      help: "Install it (https://cli.github.com), or push alone: claudecluster apply --push.",
      cause,
    });
  }
}
