import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { claudecluster, type CommandOutcome } from "../support/claudecluster.ts";
import { makeHostDirectories } from "../support/host-directories.ts";
import { CLAUDECLUSTER } from "../support/mcp-client.ts";
import { type Rig, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const cli = (args: string[], options: { env?: Record<string, string>; input?: string } = {}): Promise<CommandOutcome> =>
  claudecluster(rig.mcp.place, args, options);

test("the command is a program of its own, as Claude Code starts it", async () => {
  const { stdout } = await promisify(execFile)(CLAUDECLUSTER, ["version"]);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("run prints the patch on stdout, progress and answer on stderr, and exits 0", async () => {
  const { code, stdout, stderr } = await cli(["run", "[scenario: multi-file-change]", "--repository", rig.repository]);
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^diff --git /m);
  expect(stderr).toMatch(/^succeeded: \d+ files? changed/m);
  expect(stderr).toContain("Claude is working");

  const by = ["--by", "repository", "--by", "outcome", "model"];
  const [used, ...others] = JSON.parse((await cli(["usage", "--since", "2d", ...by, "--json"])).stdout) as object[];
  expect(others).toEqual([]);
  expect(used).toMatchObject({
    repository: rig.repository,
    outcome: "succeeded",
    model: "claude-opus-5-5",
    sessions: 1,
  });
  expect((await cli(["usage", "--by", "week"])).code).toBe(2);
  expect((await cli(["usage", "--since", "yesterday"])).stderr).toContain("DAY_INVALID");
  expect((await cli(["usage", "--csv"])).stdout).toMatch(/^day,sessions,.*\r\n\d{4}-\d\d-\d\d,1,/);
});

test("run > file gives a patch that git apply takes, and nothing is lost on a full disk without a word", async () => {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-patch-"));
  const shell = (line: string) =>
    promisify(execFile)("sh", ["-c", line, "claudecluster", process.execPath, CLAUDECLUSTER], {
      cwd: directory,
      env: rig.mcp.place.env,
    });
  // Claude's answer is a patch itself.
  const forged = "diff --git a/evil b/evil\nnew file mode 100644\n--- /dev/null\n+++ b/evil\n@@ -0,0 +1 @@\n+x";
  const command = `echo fine > fine.txt; printf '%s\\n' '${forged}'`;
  await writeFile(
    join(directory, "task"),
    `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`,
  );
  await shell(
    `git clone -q ${rig.repository} repo; "$1" "$2" run "$(cat task)" -r ${rig.repository} > patch 2> answer`,
  );
  const applied = await shell("cd repo && git apply --index ../patch && git diff --cached --name-only; cat ../answer");
  expect(applied.stdout).toMatch(/^fine.txt\n/);
  expect(applied.stdout).toContain("  diff --git a/evil b/evil\n");
  const { session_id: id } = (JSON.parse((await cli(["list", "--json"])).stdout) as { session_id: string }[])[0]!;
  for (const command of [`diff ${id}`, `show ${id}`, "list", `logs ${id}`, `logs ${id} --json`, `diff ${id} --json`]) {
    await expect(shell(`"$1" "$2" ${command} > /dev/full`), command).rejects.toMatchObject({
      code: 3,
      stderr: expect.stringContaining("ENOSPC") as string,
    });
  }
  await rm(directory, { recursive: true });
});

test("run --json prints one JSON document, and a failed session exits 1", async () => {
  const { code, stdout } = await cli(["run", "[scenario: crash]", "-r", rig.repository, "--json"]);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ state: "failed", failure: { reason: "CLAUDE_EXITED" } });
});

test.each([
  [["run", " "], {}, 2, "TASK_EMPTY"],
  [["run", "x", "--memory", "much"], {}, 2, "MEMORY_INVALID"],
  [["run", "x", "--cpus", "many"], {}, 2, "cpus"],
  [["run", "x", "--env", "novalue"], {}, 2, "ENVIRONMENT_INVALID"],
  [["run", "x", "--no-such-option"], {}, 2, "--no-such-option"],
  [["fly"], {}, 2, "fly"],
  [["dial", "ses_NOSUCH"], {}, 4, "SESSION_NOT_FOUND"],
  [["token", "add", "a b"], {}, 2, "TOKEN_NAME_INVALID"],
  [["token", "remove", "nobody"], {}, 4, "TOKEN_UNKNOWN"],
  [["serve", "--listen", "127.0.0.1:0", "--token-file", "/nowhere"], {}, 3, "TOKEN_FILE_UNREADABLE"],
  [["serve", "--listen", "0.0.0.0:0", "--token-file", "/nowhere"], {}, 2, "ADDRESS_NOT_LOOPBACK"],
  [["serve"], { ANTHROPIC_BASE_URL: "nonsense" }, 3, "ENDPOINT_INVALID"],
  [["serve"], {}, 3, "HOST_RUNNING"],
  [["show", "ses_NOSUCH"], {}, 4, "SESSION_NOT_FOUND"],
  [["watch", "xy"], {}, 4, "SESSION_NOT_FOUND"],
  [["run", "x", "--continue", "xy"], {}, 4, "SESSION_NOT_FOUND"],
  [["list", "--limit", "none"], {}, 2, "LIMIT_INVALID"],
  [["credential", "set"], {}, 2, "CREDENTIAL_EMPTY"],
])("%j exits with the documented code and says why", async (args, env, code, reason) => {
  const result = await cli(args, { env });
  expect(result.code, result.stderr).toBe(code);
  expect(result.stderr).toContain(reason);
  expect(result.stdout).toBe("");
});

test("doctor finds everything in order, and says what to do about what is not", async () => {
  const good = await cli(["doctor"]);
  expect(good.code, good.stdout).toBe(0);
  expect(good.stdout).toMatch(/model .* answers and takes the credential/);
  expect(good.stdout).toMatch(/image .* with Claude Code \d+\.\d+\.\d+/);
  await using bare = await makeHostDirectories();
  await bare.configure({ base_url: rig.model.url });
  const bad = await claudecluster(bare, ["doctor", "--json"], {
    env: { ANTHROPIC_API_KEY: "of no use to a host", DOCKER_HOST: "unix:///nowhere.sock" },
  });
  expect(bad.code).toBe(3);
  const problems = (JSON.parse(bad.stdout) as { subject: string; ok: boolean; help?: string }[]).filter(
    ({ ok }) => !ok,
  );
  expect(problems.map(({ subject }) => subject)).toEqual(["engine", "credential"]);
  expect(problems.every(({ help }) => (help ?? "") !== "")).toBe(true);
  expect(good.stdout + bad.stdout).not.toContain(rig.key);
});

test("version prints the package's version", async () => {
  const { version } = (await import("../../package.json", { with: { type: "json" } })).default;
  expect((await cli(["version"])).stdout).toBe(`${version}\n`);
});

test("a detached session is found, watched, read, and removed by other commands, under a part of its id", async () => {
  const { stdout } = await cli(["run", "--detach", "[scenario: multi-file-change]", "-r", rig.repository]);
  const id = stdout.trim();
  expect(id).toMatch(/^ses_/);
  const end = id.slice(-8);
  const watched = await cli(["watch", end.toLowerCase()]);
  expect(watched.code, watched.stderr).toBe(0);
  const listed = JSON.parse((await cli(["list", "--json"])).stdout) as { session_id: string; state: string }[];
  expect(listed.find(({ session_id }) => session_id === id)?.state).toBe("succeeded");
  expect((await cli(["list"])).stdout).toContain(id);
  const shown = JSON.parse((await cli(["show", end, "--json"])).stdout) as { change_count: number; patch: string };
  expect(shown.change_count).toBeGreaterThan(2);
  expect((await cli(["show", id])).stdout).toContain("src/greet.js");
  const diff = await cli(["diff", end]);
  expect(diff.stdout).toBe(shown.patch);
  const logs = await cli(["logs", end]);
  expect(logs.stdout).toContain("Claude is working");
  const events = (await cli(["logs", end, "--json"])).stdout.trim().split("\n");
  const parsed = events.map((line) => JSON.parse(line) as { sequence: number; sessionId: string });
  expect(parsed.map(({ sequence }) => sequence)).toEqual(parsed.map((_event, index) => index + 1));
  expect(parsed[0]?.sessionId).toBe(id);
  expect((await cli(["remove", end])).stdout).toBe(`${id}\n`);
  expect((await cli(["show", id])).code).toBe(4);
});

test("a session takes messages, is interrupted and stopped from the command line", async () => {
  const task = "[scenario: long-run seconds=60 steps=20]";
  const { stdout } = await cli(["run", "-d", task, "-r", rig.repository, "--idle-timeout", "60", "--json"]);
  const { session_id: id } = JSON.parse(stdout) as { session_id: string };
  expect((await cli(["remove", id])).stderr).toContain("SESSION_LIVE");
  expect((await cli(["send", id, "[scenario: small-edit]"])).code).toBe(0);
  const show = async () => JSON.parse((await cli(["show", id, "--json"])).stdout) as { state: string };
  await expect.poll(async () => (await show()).state, { timeout: 60_000 }).toBe("running");
  expect((await cli(["interrupt", id])).stdout).toBe(`Interrupted ${id}.\n`);
  const stopped = await cli(["stop", id, "--reason", "seen enough"]);
  expect(stopped.code, stopped.stderr).toBe(0);
  expect(await show()).toMatchObject({ state: "canceled", canceled_by: "seen enough" });
  expect((await cli(["interrupt", id])).stderr).toContain("SESSION_OVER");
  expect((await cli(["watch", id])).code).toBe(130);
});

test("a session that waits for somebody is allowed, denied and answered from the command line", async () => {
  const start = async (task: string, ...more: string[]) =>
    (await cli(["run", "-d", task, "-r", rig.repository, ...more])).stdout.trim();
  const waiting = async (id: string) => {
    const show = async () => JSON.parse((await cli(["show", id, "--json"])).stdout) as { state: string };
    await expect.poll(async () => (await show()).state, { timeout: 60_000 }).toBe("waiting");
  };
  const touch = (name: string) => ({ name: "Bash", input: { command: `touch ${name}`, description: "Make a file" } });
  const task = `[scenario: call-tools ${JSON.stringify([touch("one.txt"), touch("two.txt")])}]`;
  const id = await start(task, "--permission-mode", "default");
  await waiting(id);
  expect((await cli(["show", id])).stdout).toContain("permission to use Bash");
  expect((await cli(["answer", id, "yes"])).stderr).toContain("DECISION_UNKNOWN");
  expect((await cli(["allow", id])).code).toBe(0);
  await expect.poll(async () => (await cli(["deny", id, "--message", "no"])).code, { timeout: 60_000 }).toBe(0);
  expect((await cli(["watch", id])).code).toBe(0);
  expect((await cli(["diff", id])).stdout).toMatch(/one\.txt/);
  expect((await cli(["diff", id])).stdout).not.toContain("two.txt");
  const question = await start("[scenario: ask-question]");
  await waiting(question);
  expect((await cli(["answer", question, "Bonjour"])).code).toBe(0);
  expect((await cli(["watch", question])).code).toBe(0);
  expect((await cli(["show", question])).stdout).toContain("Bonjour");
});

test("a credential goes in on standard input, into a file of this user alone, and never comes out again", async () => {
  await using place = await makeHostDirectories();
  {
    const set = await claudecluster(place, ["credential", "set"], { input: "sk-ant-oat01-secret\n" });
    expect(set.code, set.stderr).toBe(0);
    const shown = await claudecluster(place, ["credential", "show", "--json"]);
    expect(JSON.parse(shown.stdout)).toMatchObject({ kind: "oauth-token" });
    expect(set.stdout + shown.stdout + shown.stderr).not.toContain("secret");
    await claudecluster(place, ["credential", "remove"]);
    expect((await claudecluster(place, ["credential", "show"])).stdout).toContain("None");
  }
});

test("status shows the running host and starts none; shutdown ends it", async () => {
  await using place = await makeHostDirectories();
  expect(JSON.parse((await claudecluster(place, ["status", "--json"])).stdout)).toEqual({ running: false });
  expect((await claudecluster(place, ["list"])).stdout).toBe("No sessions.\n");
  const status = JSON.parse((await claudecluster(place, ["status", "--json"])).stdout) as object;
  expect(status).toMatchObject({ running: true, live_sessions: 0, state_directory: place.directories.stateDirectory });
  expect((await claudecluster(place, ["shutdown", "--when-idle"])).stdout).toContain("Ended the host");
  expect((await claudecluster(place, ["status"])).stdout).toContain("No host is running");
});
