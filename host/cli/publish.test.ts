import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import type { Files } from "../../test/git/random-trees.ts";
import { UserArea } from "../../test/git/user-area.ts";
import { finishWith } from "../../test/support/finished-session.ts";
import { Plain } from "../../test/support/screen.ts";
import { TakenChanges_Kind } from "../../proto/index.ts";
import { applyCommand } from "./apply.ts";

const START: Files = new Map([["a.ts", { mode: "100644", content: "one\n" }]]);
const TASK = "Greet @everyone\u202e, please";
let area: UserArea;
let sessions: MemorySessions;
let io: { stdin: NodeJS.ReadStream; stdout: Plain; stderr: Plain; env: NodeJS.ProcessEnv; signal: AbortSignal };
let remote: string;
let ran: string;

beforeEach(() => {
  area = new UserArea(START);
  sessions = new MemorySessions();
  const { signal } = new AbortController();
  io = { stdin: process.stdin, stdout: new Plain(), stderr: new Plain(), env: {}, signal };
  remote = join(area.top, "remote.git");
  execFileSync("git", ["init", "-q", "--bare", remote]);
  area.git("remote", "add", "origin", remote);
  area.git("push", "-q", "origin", "main");
  ran = join(area.top, "ran");
  program(join(area.directory, ".git/hooks/pre-push"), `touch '${ran}'`);
});
afterEach(() => {
  vi.unstubAllEnvs();
  sessions[Symbol.dispose]();
  area[Symbol.dispose]();
});

function program(path: string, script: string): void {
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

const REPLY = { auth: "exit 0", create: "echo https://github.com/o/r/pull/7" };

/** Puts a gh on the PATH that records what it is given. */
function fakeGh({ auth, create: made }: { auth: string; create: string } = REPLY): void {
  const directory = join(area.top, "bin");
  mkdirSync(directory);
  const note = `for each; do printf '%s\\0' "$each" >> '${area.top}/argv'; done`;
  const script = `if [ "$1" = auth ]; then ${auth}; fi\n${note}\npwd > '${area.top}/cwd'\ncat > '${area.top}/body'\n${made}`;
  program(join(directory, "gh"), script);
  vi.stubEnv("PATH", `${directory}${delimiter}${process.env["PATH"]}`);
}

const finished = () =>
  finishWith(sessions, area, START, { "a.ts": "two\n", ".envrc": "echo hi\n" }, { task: TASK, answer: ANSWER });
const ANSWER = "Done. Fixes #1.\n```\n@octocat <img src=x> \u001b[31m\n";

const apply = (sessionId: string, rest: { push?: string; pullRequest?: boolean; json?: boolean }) => {
  const { json = false, ...given } = rest;
  const place = { sessionId, directory: area.directory, as: "branch", branch: "claude/greet" } as const;
  const request = { ...place, stage: false, paths: [], dryRun: false, ...given };
  return applyCommand(sessions, request, { json, stateDirectory: area.top }, io);
};
const heads = () =>
  execFileSync("git", ["for-each-ref", "--format=%(refname)", "refs"], { cwd: remote, encoding: "utf8" });

test("pushes the branch that it makes to a remote that the repository names, without hooks, and says so", async () => {
  const id = await finished();
  expect(await apply(id, { push: "origin" })).toBe(0);
  expect(heads()).toBe("refs/heads/claude/greet\nrefs/heads/main\n");
  expect(existsSync(ran)).toBe(false);
  expect(io.stdout.text).toContain("Pushed to origin");
  expect((await sessions.get(id)).taken?.kind).toBe(TakenChanges_Kind.BRANCH);
  // Again is fine.
  expect(await apply(id, { push: "origin", json: true })).toBe(0);
  expect(io.stdout.text).toContain('"pushed_to": "origin"');
});

test("takes no URL for a remote, and makes no branch where there is none of that name", async () => {
  const id = await finished();
  for (const push of [remote, "ext::sh -c true", "--receive-pack=x", "upstream", ""]) {
    await expect(apply(id, { push }), push).rejects.toMatchObject({ reason: "REMOTE_UNKNOWN" });
  }
  expect(area.git("branch", "--list", "claude/*")).toBe("");
});

test("goes by the user's own ssh, and waits for no answer of theirs", async () => {
  const ssh = join(area.top, "ssh");
  program(ssh, `echo "$SSH_AUTH_SOCK $1" > '${area.top}/ssh-ran'; shift; exec sh -c "$1"`);
  area.git("config", "core.sshCommand", ssh);
  area.git("config", "ssh.variant", "simple");
  area.git("remote", "add", "far", `ssh://far.example${remote}`);
  vi.stubEnv("SSH_AUTH_SOCK", "/the/agent");
  const id = await finished();
  vi.stubEnv("GIT_DIR", "/nonexistent");
  await apply(id, { push: "far" });
  vi.unstubAllEnvs();
  expect(heads()).toContain("refs/heads/claude/greet");
  expect(readFileSync(join(area.top, "ssh-ran"), "utf8")).toBe("/the/agent far.example\n");
});

test("forces nothing, and says what a remote says without the URL's password; the branch stays", async () => {
  area.git("push", "-q", "origin", "main:refs/heads/claude/greet");
  area.git("-C", remote, "update-ref", "refs/heads/claude/greet", commitAside());
  const id = await finished();
  await expect(apply(id, { push: "origin" })).rejects.toMatchObject({
    reason: "PUSH_FAILED",
    message: expect.stringMatching(/claude\/greet is here, but origin has not taken it: .*rejected/),
    help: expect.stringContaining("git push origin claude/greet"),
  });
  expect(area.git("branch", "--list", "claude/*")).toContain("claude/greet");
  area.git("remote", "add", "closed", "http://user:hidden@127.0.0.1:1/x");
  const error = (await apply(id, { push: "closed" }).catch((error: unknown) => error)) as Error;
  expect(error).toMatchObject({ reason: "PUSH_FAILED" });
  expect(JSON.stringify(error) + error.message).not.toContain("hidden");
});

/** Returns a commit in the remote that the user's repository does not have. */
function commitAside(): string {
  const env = {
    ...process.env,
    GIT_AUTHOR_NAME: "x",
    GIT_AUTHOR_EMAIL: "x",
    GIT_COMMITTER_NAME: "x",
    GIT_COMMITTER_EMAIL: "x",
  };
  return execFileSync("git", ["commit-tree", "-m", "aside", `main^{tree}`], {
    cwd: remote,
    env,
    encoding: "utf8",
  }).trim();
}

test("makes a draft of a pull request by gh, with the session's words as plain text and none of them a secret's way out", async () => {
  fakeGh();
  const id = await finished();
  expect(await apply(id, { push: "origin", pullRequest: true })).toBe(0);
  expect(io.stdout.text).toContain("Pull request, as a draft: https://github.com/o/r/pull/7\n");
  const argv = readFileSync(join(area.top, "argv"), "utf8").split("\0").slice(0, -1);
  const title = "Greet @everyone, please";
  expect(argv).toEqual(["pr", "create", "--draft", "--head", "claude/greet", "--title", title, "--body-file", "-"]);
  expect(readFileSync(join(area.top, "cwd"), "utf8")).toBe(`${area.directory}\n`);
  const body = readFileSync(join(area.top, "body"), "utf8");
  expect(body).toContain("```text\nGreet @everyone, please\n```");
  expect(body).toContain("````text\nDone. Fixes #1.\n```\n@octocat <img src=x> [31m\n````");
  expect(body).toContain("```text\n.envrc: your shell runs it (direnv)\n```");
  expect(body).toContain(id);
});

test("the head of a pull request has the owner of the repository that was pushed to", async () => {
  fakeGh();
  area.git("remote", "add", "fork", "git@github.com:me/greeter.git");
  const ssh = join(area.top, "ssh");
  program(ssh, `exec git-receive-pack '${remote}'`);
  area.git("config", "core.sshCommand", ssh);
  await apply(await finished(), { push: "fork", pullRequest: true });
  expect(readFileSync(join(area.top, "argv"), "utf8").split("\0")).toContain("me:claude/greet");
});

test("without gh, or where it is not logged in, nothing is done; where it fails later the pushed branch is named", async () => {
  const id = await finished();
  vi.stubEnv("PATH", gitOnly());
  await expect(apply(id, { push: "origin", pullRequest: true })).rejects.toMatchObject({
    reason: "PULL_REQUEST_FAILED",
    message: expect.stringContaining("no gh"),
  });
  vi.unstubAllEnvs();
  fakeGh({ ...REPLY, auth: "echo 'You are not logged into any GitHub hosts.' >&2; exit 1" });
  await expect(apply(id, { push: "origin", pullRequest: true })).rejects.toThrow(
    "gh is not logged in: You are not logged into any GitHub hosts.",
  );
  expect([area.git("branch", "--list", "claude/*"), heads()]).toEqual(["", "refs/heads/main\n"]);
  vi.unstubAllEnvs();
  rmSync(join(area.top, "bin"), { recursive: true });
  fakeGh({ ...REPLY, create: "echo 'pull request create failed: no commits' >&2; exit 1" });
  await expect(apply(id, { push: "origin", pullRequest: true })).rejects.toMatchObject({
    reason: "PULL_REQUEST_FAILED",
    message: expect.stringMatching(/^The branch claude\/greet is pushed, but gh made no pull request: .*no commits/),
  });
  expect(heads()).toContain("refs/heads/claude/greet");
});

/** A PATH with git on it and no gh. */
function gitOnly(): string {
  const directory = join(area.top, "only");
  mkdirSync(directory);
  const git = execFileSync("sh", ["-c", "command -v git"], { encoding: "utf8" }).trim();
  program(join(directory, "git"), `exec '${git}' "$@"`);
  return directory;
}
