import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runGit } from "../git/work-area.ts";
import { claudecluster, type CommandOutcome } from "../support/claudecluster.ts";
import { makeHostDirectories, type TestDirectories } from "../support/host-directories.ts";
import { CLAUDECLUSTER } from "../support/mcp-client.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

let rig: HostRig;
let other: TestDirectories;
let project: string;
beforeAll(async () => {
  rig = await startHostRig();
  other = await makeHostDirectories();
  project = join(rig.place.root, "project");
  runGit(rig.place.root, "init", "-q", "-b", "main", project);
  await writeFile(join(project, "committed"), "one\n");
  runGit(project, "add", "-A");
  runGit(project, "commit", "-qm", "one");
  await writeFile(join(project, "untracked"), "two\n");
});
afterAll(async () => {
  await other[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

const SOON = { timeout: 30_000 };
const bash = (command: string) => `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`;
const cli = (args: string[], place = rig.place): Promise<CommandOutcome> =>
  claudecluster(place, args, { cwd: project });
const json = async <T>(args: string[], place = rig.place): Promise<T> => {
  const { stdout, stderr } = await cli([...args, "--json"], place);
  expect(stdout, stderr).not.toBe("");
  return JSON.parse(stdout) as T;
};

test("a backup of a host at work holds all of its sessions, which another host shows, applies and continues", async () => {
  const { session_id: finished } = await json<{ session_id: string }>([
    "run",
    bash("echo three >> untracked; echo new > made"),
  ]);
  const { stdout } = await cli(["run", "--detach", bash("echo half > half; sleep 8; echo more > more; sleep 600")]);
  const live = stdout.trim();
  await expect.poll(async () => (await cli(["diff", live])).stdout, SOON).toContain("+half");
  const commands = ["show --json", "logs --json", "diff"].map((command) => command.replace(/^\w+/, `$& ${finished}`));
  const told = async (place: TestDirectories) => {
    const outcomes = await Promise.all([...commands, "usage --json"].map((command) => cli(command.split(" "), place)));
    // When it was read last.
    return outcomes.map(({ stdout }) => stdout.replace(/"taken": .*/, ""));
  };
  const before = await told(rig.place);
  expect(before[2]).toContain("+three");

  const file = join(rig.place.root, "backup.tar");
  const made = await cli(["backup", file]);
  expect(made.stdout, made.stderr).toMatch(
    /backup\.tar: 2 sessions, .* Credentials, tokens and settings are not in it/,
  );
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file).includes(rig.key)).toBe(false);
  const refused: [string[], string][] = [
    [["backup", file], "FILE_UNUSABLE"],
    [["restore", file], "RESTORE_REPLACES"],
    [["restore", file, "--replace"], "HOST_RUNNING"],
  ];
  for (const [args, reason] of refused) {
    expect(await cli(args)).toMatchObject({ code: 3, stderr: expect.stringContaining(reason) as string });
  }
  const env = { CLAUDECLUSTER_HOST: "http://127.0.0.1:1", CLAUDECLUSTER_TOKEN_FILE: "/x" };
  expect((await claudecluster(rig.place, ["backup", `${file}.2`], { env })).stderr).toContain("HOST_ELSEWHERE");

  // Beside the first one, on the same engine: that one's containers are not its.
  await other.configure({ base_url: rig.model.url, credential: { api_key: rig.key } });
  const restored = await cli(["restore", file], other);
  expect(restored.stdout, restored.stderr).toMatch(/^Restored 2 sessions.*\n1 session had a container of the host/);
  expect(await told(other)).toEqual(before);
  await expect.poll(async () => (await cli(["show", live], other)).stdout, SOON).toContain("CONTAINER_REMOVED");
  expect((await cli(["diff", live], other)).stdout).toContain("+half");
  expect((await cli(["show", live])).stdout).toMatch(/^state +running$/m);
  expect((await cli(["logs", live])).stdout).not.toContain("connection");
  const applied = await cli(["apply", finished], other);
  expect(applied.code, applied.stderr).toBe(0);
  expect(
    runGit(
      project,
      "show",
      `${runGit(project, "branch", "--list", "claude/*", "--format=%(refname)").trim()}:untracked`,
    ),
  ).toBe("two\nthree\n");
  const next = await cli(["run", "--continue", finished, bash("cat untracked made"), "--json"], other);
  expect(next.stdout, next.stderr).toContain("two\\nthree\\nnew");

  // Killed half way: what was there is there.
  await cli(["shutdown"], other);
  const list = (await cli(["list"], other)).stdout;
  await cli(["shutdown"], other);
  const pipe = join(other.root, "pipe");
  execFileSync("mkfifo", [pipe]);
  await killed(["restore", pipe, "--replace"], other, async () => {
    const bytes = readFileSync(file);
    await using half = await open(pipe, "w");
    await half.write(bytes.subarray(0, bytes.length / 2));
    await expect
      .poll(() => existsSync(join(other.directories.stateDirectory, "restoring/artifacts", `${finished}.patch`)), SOON)
      .toBe(true);
  });
  expect((await cli(["list"], other)).stdout).toBe(list);
  expect(existsSync(join(other.directories.stateDirectory, "restoring"))).toBe(false);
  const cut = join(other.root, "cut.tar");
  await killed(["backup", cut], other, () =>
    expect
      .poll(() => readdirSync(other.root).some((name) => /^cut\.tar\..*\.part$/.test(name)), { ...SOON, interval: 1 })
      .toBe(true),
  );
  if (existsSync(cut)) await rm(cut);
  expect((await cli(["backup", cut], other)).code).toBe(0);
  expect(readdirSync(other.root).filter((name) => name.startsWith("cut"))).toEqual(["cut.tar"]);

  // In its own place the host finds its container again.
  await expect.poll(async () => (await cli(["diff", live])).stdout, SOON).toContain("+more");
  const back = await cli(["restore", file, "--replace", "--shutdown"]);
  expect(back.stdout, back.stderr).toBe("Restored 2 sessions. The next command starts a host with them.\n");
  await expect.poll(async () => (await cli(["logs", live])).stdout, SOON).toContain("connection to the agent restored");
  expect((await cli(["stop", live])).code).toBe(0);
  const patch = (await cli(["diff", live])).stdout;
  expect(patch).toContain("+half");
  expect(patch).toContain("+more");
});

/** Runs a command, and kills it once `until` has resolved. */
async function killed(args: string[], { env, root }: TestDirectories, until: () => Promise<unknown>): Promise<void> {
  const child = spawn(process.execPath, [CLAUDECLUSTER, ...args], { env, cwd: root, stdio: "ignore" });
  const exited = once(child, "exit");
  await until();
  child.kill("SIGKILL");
  expect(await exited).toEqual([null, "SIGKILL"]);
}
