import { randomBytes } from "node:crypto";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { existsSync, readdirSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { SessionSummary } from "../../host/present/session-summary.ts";
import { storesDirectory } from "../../host/snapshots/snapshot-stores.ts";
import { digestDirectory } from "../git/repository-digest.ts";
import { runGit } from "../git/work-area.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { makeHostDirectories, type TestDirectories } from "../support/host-directories.ts";
import { CLAUDECLUSTER } from "../support/mcp-client.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

let rig: HostRig;
let front: TestDirectories;
let tokenFile: string;
let host: { process: ChildProcess; url: string };
let project: string;

beforeAll(async () => {
  rig = await startHostRig();
  front = await makeHostDirectories();
  tokenFile = join(rig.place.root, "token");
  await writeFile(tokenFile, randomBytes(16).toString("hex"), { mode: 0o600 });
  host = await serve();
});
afterAll(async () => {
  await front[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

/** Starts the host in the foreground; it is ended as any other. */
async function serve(listen = "127.0.0.1:0") {
  const args = [CLAUDECLUSTER, "serve", "--listen", listen, "--token-file", tokenFile];
  const child = spawn(process.execPath, args, { env: rig.place.env, stdio: ["ignore", "ignore", "pipe"] });
  for await (const line of createInterface({ input: child.stderr })) {
    const address = /^control API on (.*)$/.exec(line)?.[1];
    if (address === undefined) continue;
    child.stderr.resume();
    return { process: child, url: `http://${address}` };
  }
  throw new Error("the host has ended");
}

beforeEach(async () => {
  const home = await mkdtemp(join(tmpdir(), "claudecluster-project-"));
  project = join(home, "project");
  runGit(home, "init", "-q", "-b", "main", project);
  await writeFile(join(project, "file"), "one\n");
  await writeFile(join(project, "other"), "one\n");
  runGit(project, "add", "-A");
  runGit(project, "commit", "-qm", "one");
  await writeFile(join(project, "file"), "one\nmine\n");
  await writeFile(join(project, "untracked"), "mine\n");
  return () => rm(home, { recursive: true });
});

/** Runs a command of a front that has its own directories, and the host's address and token only. */
async function command(args: string[], env: Record<string, string> = {}) {
  const remote = { CLAUDECLUSTER_HOST: host.url, CLAUDECLUSTER_TOKEN_FILE: tokenFile, ...env };
  const outcome = await claudecluster(front, args, { cwd: project, env: remote });
  const json = <T>() => {
    expect(outcome.stdout, outcome.stderr).not.toBe("");
    return JSON.parse(outcome.stdout) as T;
  };
  return { ...outcome, json };
}

/** A task of one command of Claude's; its output is the answer. */
const bash = (text: string) => `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command: text } }])}]`;
const run = async (task: string) => (await command(["run", bash(task), "--json"])).json<SessionSummary>();

test("a front elsewhere sends its own user's files, and a continuation has them there", async () => {
  const own = join(project, "../own");
  await mkdir(own);
  await writeFile(join(own, "CLAUDE.md"), "The front's own rule 5150.\n");
  const env = { CLAUDE_CONFIG_DIR: own };
  const asked = (since: number) => JSON.stringify(rig.model.requests.slice(since).map(({ body }) => body));
  const first = (
    await command(["run", bash("true"), "--user-file", "CLAUDE.md", "--json"], env)
  ).json<SessionSummary>();
  expect(first.sent).toContain("set-up for Claude Code (1 file, 27 bytes): CLAUDE.md");
  expect(asked(0)).toContain("The front's own rule 5150.");
  await rm(own, { recursive: true });
  const before = rig.model.requests.length;
  await command(["run", bash("true"), "--continue", first.session_id]);
  expect(asked(before)).toContain("The front's own rule 5150.");
});

test("a front elsewhere sends its repository, and applies, undoes and compares the results where it is", async () => {
  const before = digestDirectory(project);
  const first = await run("git status --porcelain; echo theirs >> file; echo new > added");
  expect(first).toMatchObject({ state: "succeeded", change_count: 2 });
  expect(first.result).toContain(" M file\n?? untracked");
  expect(digestDirectory(project)).toEqual(before);
  const second = await run("echo others >> file");
  expect(second).toMatchObject({ state: "succeeded", base_commit: first.base_commit });

  const compared = (await command(["compare", first.session_id, second.session_id, "--json"])).json<{
    overlaps: { paths: string[] }[];
  }>();
  expect(compared.overlaps).toMatchObject([{ paths: ["file"], conflicts: [{ path: "file" }] }]);

  const branch = (await command(["apply", first.session_id, "--json"])).json<{ applied: string; branch: string }>();
  expect(branch.applied).toBe("branch");
  expect(runGit(project, "show", `${branch.branch}:added`)).toBe("new\n");
  expect((await command(["undo"])).code).toBe(0);

  const files = await command(["apply", first.session_id, "--worktree"]);
  expect(files.code, files.stderr).toBe(0);
  expect(await readFile(join(project, "file"), "utf8")).toBe("one\nmine\ntheirs\n");
  expect(await readFile(join(project, "added"), "utf8")).toBe("new\n");
  expect((await command(["undo", first.session_id])).code).toBe(0);
  expect(await readFile(join(project, "file"), "utf8")).toBe("one\nmine\n");
  expect(existsSync(join(project, "added"))).toBe(false);

  // Nothing was started on this machine, and the host's files are nobody's but its own.
  expect(existsSync(join(front.directories.stateDirectory, "sessions.db"))).toBe(false);
  const listed = (await command(["list", "--json"])).json<{ sessions: { id: string }[] } | { session_id: string }[]>();
  expect(JSON.stringify(listed)).toContain(first.session_id);
});

/** Files and directories of what is being taken in. Unlike readdir, find does not mind what goes while it looks. */
function incomingIn(stores: string): string {
  return spawnSync("find", [stores, "-path", "*incoming-*"], { encoding: "utf8" }).stdout;
}

async function takingIn(stores: string): Promise<void> {
  await vi.waitUntil(() => incomingIn(stores).includes("tmp_pack"), { interval: 5, timeout: 60_000 });
}

test("a host that is killed while it takes in a repository is gone on with by the next one", async () => {
  await writeFile(join(project, "large"), randomBytes(20_000_000));
  const stores = storesDirectory(rig.place.directories.stateDirectory);
  const running = command(["run", bash("wc -c < large"), "--json"]);
  await takingIn(stores);
  host.process.kill("SIGKILL");
  await once(host.process, "close");
  host = await serve(new URL(host.url).host);
  const outcome = await running;
  expect(outcome.json<SessionSummary>(), outcome.stderr).toMatchObject({
    state: "succeeded",
    result: expect.stringContaining("20000000") as string,
  });
  expect(incomingIn(stores)).toBe("");
});

test("a front that is killed while it sends leaves nothing with the host", async () => {
  await writeFile(join(project, "large"), randomBytes(20_000_000));
  const stores = storesDirectory(rig.place.directories.stateDirectory);
  const remote = { CLAUDECLUSTER_HOST: host.url, CLAUDECLUSTER_TOKEN_FILE: tokenFile };
  const sessions = async () => (await rig.sessions.list({ pageSize: 1000 })).sessions.length;
  const [storesBefore, sessionsBefore] = [readdirSync(stores), await sessions()];
  const child = spawn(process.execPath, [CLAUDECLUSTER, "run", bash("true")], {
    cwd: project,
    env: { ...front.env, ...remote },
    stdio: "ignore",
  });
  await takingIn(stores);
  child.kill("SIGKILL");
  await vi.waitUntil(() => readdirSync(stores).length === storesBefore.length, { timeout: 60_000 });
  expect(incomingIn(stores)).toBe("");
  expect(await sessions()).toBe(sessionsBefore);
  expect(await run("wc -c < large")).toMatchObject({ state: "succeeded" });
});

test("a host that starts sweeps what no session needs, and keeps what one does", async () => {
  const { session_id: id } = await run("true");
  const stores = storesDirectory(rig.place.directories.stateDirectory);
  const [store] = readdirSync(stores).filter((name) => existsSync(join(stores, name, "sessions", id)));
  const sessions = join(stores, store!, "sessions");
  host.process.kill("SIGTERM");
  await once(host.process, "close");
  const longAgo = new Date(Date.now() - 30 * 24 * 60 * 60_000);
  const unknown = join(sessions, "ses_unknown");
  const unused = join(stores, "0".repeat(32));
  for (const path of [unknown, unused]) {
    await mkdir(path);
    await utimes(path, longAgo, longAgo);
  }
  host = await serve(new URL(host.url).host);
  await vi.waitUntil(() => !existsSync(unknown) && !existsSync(unused), { timeout: 20_000 });
  expect(existsSync(join(sessions, id))).toBe(true);
  expect((await command(["remove", id])).code).toBe(0);
  expect(existsSync(join(sessions, id))).toBe(false);
});

test("a caller with a token of its own has its name on its sessions, until the token is removed", async () => {
  const onHost = (...args: string[]) => claudecluster(rig.place, args);
  const added = await onHost("token", "add", "alice");
  expect(added.stdout).toMatch(/^ccl_[\w-]{43}\n$/);
  const own = join(rig.place.root, "alice");
  await writeFile(own, added.stdout, { mode: 0o600 });
  const asAlice = (...args: string[]) => command(args, { CLAUDECLUSTER_TOKEN_FILE: own });
  const { session_id: id } = (await asAlice("run", bash("true"), "--json")).json<SessionSummary>();
  const { stdout: table } = await command(["list"]);
  expect(table).toMatch(/CALLER +TASK/);
  expect(table.split("\n").find((line) => line.includes(id))).toMatch(/ alice +\[scenario/);
  expect((await command(["show", id, "--json"])).json()).toMatchObject({ caller: "alice" });
  expect((await command(["show", id])).stdout).toMatch(/^caller +alice$/m);
  expect((await onHost("token", "list")).stdout).toMatch(/^CALLER +SINCE\nalice +20\S+Z\n$/);
  expect((await onHost("token", "remove", "alice")).code).toBe(0);
  expect((await asAlice("list")).stderr).toContain("TOKEN_INVALID");
  expect((await command(["token", "add", "bob"])).stderr).toContain("CALLER_REMOTE");
  expect((await onHost("token", "list", "--json")).stdout.trim()).toBe("[]");
});

test("says plainly what is wrong with the host that is named", async () => {
  const failure = async (env: Record<string, string>) => (await command(["list"], env)).stderr;
  expect(await failure({ CLAUDECLUSTER_HOST: "http://host.example:8812" })).toContain("HOST_ADDRESS_INVALID");
  expect(await failure({ CLAUDECLUSTER_HOST: `${host.url}/path` })).toContain("HOST_ADDRESS_INVALID");
  expect(await failure({ CLAUDECLUSTER_TOKEN_FILE: "" })).toContain("TOKEN_FILE_MISSING");
  expect(await failure({ CLAUDECLUSTER_TOKEN_FILE: "/nowhere" })).toContain("TOKEN_FILE_UNREADABLE");
  const gone = await command(["status"], { CLAUDECLUSTER_HOST: "http://127.0.0.1:9" });
  expect(gone.stderr).toContain("No host answers at http://127.0.0.1:9");
  expect((await command(["status"])).stdout).toMatch(/^host {8}\S+, since .*\nsessions/);
  const wrong = join(rig.place.root, "wrong");
  await writeFile(wrong, "x".repeat(32));
  expect(await failure({ CLAUDECLUSTER_TOKEN_FILE: wrong })).toContain("TOKEN_INVALID");
});
