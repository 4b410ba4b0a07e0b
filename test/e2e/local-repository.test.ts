import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { readHostAddress } from "../../host/daemon/host-address.ts";
import type { SessionSummary } from "../../host/present/session-summary.ts";
import { storesDirectory } from "../../host/snapshots/snapshot-stores.ts";
import { digestDirectory } from "../git/repository-digest.ts";
import { runGit } from "../git/work-area.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { startMcpServer } from "../support/mcp-client.ts";
import { runningProcesses } from "../support/processes.ts";
import { type Rig, startRig } from "../support/rig.ts";

let rig: Rig;
let project: string;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** A repository with something of each kind that git status tells of. */
beforeEach(async () => {
  const home = await mkdtemp(join(tmpdir(), "claudecluster-project-"));
  project = join(home, "project");
  runGit(home, "init", "-q", "-b", "feature/x", project);
  await write("staged", "one\n");
  await write("changed", "one\n");
  await write("src/main", "one\n");
  await write(".gitignore", "*.log\n");
  runGit(project, "add", "-A");
  runGit(project, "commit", "-qm", "one");
  await write("staged", "two\n");
  runGit(project, "add", "staged");
  await write("changed", "two\n");
  await write("untracked", "two\n");
  await write("noise.log", "ignored\n");
  return () => rm(home, { recursive: true });
});

async function write(path: string, content: string): Promise<void> {
  await mkdir(join(project, path, ".."), { recursive: true });
  await writeFile(join(project, path), content);
}

const STATUS = "git status --porcelain=v2 --branch --untracked-files=all";

/** A task of one command of Claude's; its output is the answer. */
const bash = (command: string) => `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`;

async function run(args: string[], cwd = project): Promise<SessionSummary & { stderr: string }> {
  const { stdout, stderr } = await claudecluster(rig.mcp.place, ["run", ...args, "--json"], { cwd });
  expect(stdout, stderr).not.toBe("");
  return { ...(JSON.parse(stdout) as SessionSummary), stderr };
}

test("the repository that one is in goes in as it lies there, and the patch is against that", async () => {
  // It refreshes the index: from here on nothing is to change.
  const status = runGit(join(project, "src"), "status", "--porcelain=v2", "--branch", "--untracked-files=all");
  const before = digestDirectory(project);
  const { code, stdout, stderr } = await claudecluster(
    rig.mcp.place,
    ["run", bash(`${STATUS}; pwd; git log --format=%s; echo three >> ../changed; echo new > here`)],
    { cwd: join(project, "src") },
  );
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(
    /^sent: \S+project\/src: feature\/x at [0-9a-f]{12}; 1 staged, 1 changed, 1 untracked \(.*\); left out: 1 ignored by git \(noise.log\)\nsession /,
  );
  for (const line of `${status}\none`.trim().split("\n")) expect(stderr).toContain(line.trim());
  expect(stderr).toMatch(/\/src$/m);
  expect(digestDirectory(project)).toEqual(before);
  await writeFile(join(project, "..", "patch"), stdout);
  runGit(project, "apply", "../patch");
  expect(await readFile(join(project, "changed"), "utf8")).toBe("two\nthree\n");
  expect(await readFile(join(project, "src/here"), "utf8")).toBe("new\n");
});

test("a second session of the same repository moves nothing", async () => {
  const first = await run([bash(STATUS)]);
  expect(first, first.stderr).toMatchObject({ state: "succeeded", change_count: 0 });
  const stores = storesDirectory(rig.mcp.stateDirectory);
  const matching = (pattern: RegExp) =>
    readdirSync(stores, { recursive: true })
      .map(String)
      .filter((path) => pattern.test(path))
      .toSorted();
  // What a session starts from is copied behind its back, once.
  const kept = () =>
    expect.poll(() => matching(/\/sessions\/[^/]+$/).length - matching(/\/kept$/).length, { timeout: 20_000 }).toBe(0);
  const objects = () => matching(/^[^/]+\/objects\//);
  await kept();
  const before = objects();
  const second = await run(["-r", project, bash(STATUS)], "/");
  expect(second, second.stderr).toMatchObject({ state: "succeeded", base_commit: first.base_commit, sent: first.sent });
  await kept();
  expect(objects()).toEqual(before);
});

test("what is committed of a large repository is not fetched, and a session reads nothing of another one's", async () => {
  await writeFile(join(project, "large"), randomBytes(17 * 1024 * 1024));
  runGit(project, "add", "large");
  runGit(project, "commit", "-qm", "large", "--", "large");
  runGit(project, "repack", "-qad");
  const look = bash(
    "du -sk /base/repo.git/objects; ls /supply/objects/pack/*.pack; cat /supply/packed-refs; (rm -rf /supply/objects || :) 2>&1; git fsck --no-dangling; cat untracked",
  );
  const head = runGit(project, "rev-parse", "HEAD").trim();
  const packs = [];
  for (const content of ["one's secret", "another's"]) {
    await write("untracked", `${content}\n`);
    const { state, result, stderr } = await run([look]);
    expect(state, stderr).toBe("succeeded");
    expect(Number(/(\d+)\s\/base\/repo/.exec(result)?.[1]), result).toBeLessThan(200);
    expect(result).toContain(`${head} refs/claudecluster/supplied/0`);
    expect(result).toContain("Read-only file system");
    expect(result).toContain(content);
    packs.push(new Set(result.match(/pack-[0-9a-f]{40}\.pack/g)));
  }
  expect(packs[0]!.size).toBe(1);
  expect(packs[1]).toEqual(packs[0]);
});

test("what git ignores goes in where it is named, and its changes come back", async () => {
  const { patch, sent } = await run(["--include", "noise.log", bash("cat noise.log; echo more >> noise.log")]);
  expect(sent).toContain("included: noise.log");
  expect(patch).toContain("noise.log");
});

test("what .worktreeinclude matches goes in where the user has opted in, and is said", async () => {
  await write(".worktreeinclude", "*.log\n");
  expect((await run([bash("ls")])).sent).toContain("1 ignored by git (noise.log)");
  const { sent, result } = await run(["--worktree-include", bash("cat noise.log")]);
  expect(sent).toContain("included: noise.log");
  expect(result).toContain("ignored");
});

test("where there is no repository, or none is wanted, the workspace is empty and that is said", async () => {
  const outside = await run([bash("ls -A")], join(project, ".."));
  expect(outside.stderr).toMatch(
    /^\S+ is in no repository, and goes in only if it is named: the workspace starts empty\.\nsent: no repository/,
  );
  expect(outside.state).toBe("succeeded");
  expect(await run(["--no-repository", bash("ls -A")])).toMatchObject({
    sent: expect.stringMatching(/^no repository/) as string,
  });
  const { code, stderr } = await claudecluster(rig.mcp.place, ["run", "x", "-r", "./nowhere"], { cwd: project });
  expect({ code, stderr }).toMatchObject({ stderr: expect.stringContaining("REPOSITORY_PATH_NOT_FOUND") as string });
});

test("a finished session of a directory is continued on the same start, whatever lies there by now", async () => {
  const first = await run([bash("echo three > added")]);
  await write("changed", "something else\n");
  runGit(project, "commit", "-qam", "two");
  const second = await run(["--continue", first.session_id, bash(`cat added changed; ${STATUS}`)]);
  expect(second, second.stderr).toMatchObject({ state: "succeeded", base_commit: first.base_commit, change_count: 1 });
  expect(second.result).toContain("three\ntwo\n");
});

test("a host that is stopped while a session waits or runs goes on with it", async () => {
  const { stdout } = await claudecluster(rig.mcp.place, ["run", "-d", bash(`${STATUS}; sleep 3; echo x > late`)], {
    cwd: project,
  });
  const id = stdout.trim();
  expect((await claudecluster(rig.mcp.place, ["shutdown"])).code).toBe(0);
  const watched = await claudecluster(rig.mcp.place, ["watch", id]);
  expect(watched.code, watched.stderr).toBe(0);
  const shown = await claudecluster(rig.mcp.place, ["show", id, "--json"]);
  const { changes } = JSON.parse(shown.stdout) as SessionSummary;
  expect(changes.map(({ path }) => path)).toEqual(["late"]);
});

test("a host that is killed while it serves what a session starts from is followed by one that goes on, and touched nothing", async () => {
  for (let n = 0; n < 8; n++) await writeFile(join(project, `large-${n}`), randomBytes(5 * 1024 * 1024));
  runGit(project, "add", "-A");
  runGit(project, "commit", "-qm", "large");
  await write("changed", "three\n");
  const before = digestDirectory(project);
  const { stdout } = await claudecluster(rig.mcp.place, ["run", "-d", bash("cat changed; echo x > late")], {
    cwd: project,
  });
  const id = stdout.trim();
  const serving = `upload-pack --strict --stateless-rpc ${storesDirectory(rig.mcp.stateDirectory)}`;
  const isServing = () => runningProcesses().some(({ command }) => command.includes(serving));
  await vi.waitFor(() => expect(isServing()).toBe(true), { timeout: 60_000, interval: 2 });
  process.kill(readHostAddress(rig.mcp.stateDirectory)!.processId!, "SIGKILL");
  const watched = await claudecluster(rig.mcp.place, ["watch", id]);
  expect(watched.code, watched.stderr).toBe(0);
  const shown = await claudecluster(rig.mcp.place, ["show", id, "--json"]);
  const { changes, result } = JSON.parse(shown.stdout) as SessionSummary;
  expect([changes.map(({ path }) => path), result]).toEqual([["late"], expect.stringContaining("three")]);
  expect(digestDirectory(project)).toEqual(before);
});

test.each([
  ["the server's own directory", {}],
  ["CLAUDE_PROJECT_DIR", { variable: true }],
])("the tool sends the repository of the parent, by %s", async (_, { variable = false }: { variable?: boolean }) => {
  const { place } = rig.mcp;
  const options = variable ? { env: { CLAUDE_PROJECT_DIR: project }, cwd: "/" } : { cwd: project };
  await using server = await startMcpServer({ place, ...options });
  const { summary, text } = await server.spawn({ task: bash(STATUS) });
  expect(text).toContain(`sent: ${project}: feature/x at `);
  expect(summary?.result).toContain("1 .M N... 100644 100644 100644");
  const none = await server.spawn({ task: bash("ls -A"), repository: "none" });
  expect(none.summary).toMatchObject({ state: "succeeded", sent: expect.stringMatching(/^no repository/) as string });
});
