import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { processesOf } from "./kill-all.ts";
import { run, type RunOptions, signalGroup, spawnAs } from "./run.ts";

const SESSION = { uid: 24007, gid: 24007 };
const PATH = process.env["PATH"] ?? "";
const directory = mkdtempSync(join(tmpdir(), "cc-run-"));
const options = (rest: Partial<RunOptions> = {}): RunOptions => ({
  env: { PATH },
  signal: AbortSignal.timeout(20_000),
  ...rest,
});

beforeAll(() => {
  if (process.getuid?.() !== 0)
    throw new Error("These tests start processes as other users. Run them as root: sudo npm test");
  chmodSync(directory, 0o755);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("returns how a command ended, and all it wrote", async () => {
  expect(await run("sh", ["-c", "cat; echo bad >&2; exit 3"], options({ input: "in" }))).toEqual({
    code: 3,
    signal: undefined,
    stdout: Buffer.from("in"),
    stderr: "bad\n",
  });
  expect(await run("sh", ["-c", "kill -USR1 $$"], options())).toMatchObject({ code: undefined, signal: "SIGUSR1" });
});

test("gives a command nothing but the variables it is told", async () => {
  vi.stubEnv("CLAUDECLUSTER_SECRET", "leak");
  const { stdout } = await run("/usr/bin/env", [], options({ env: { ONE: "1" } }));
  vi.unstubAllEnvs();
  expect(stdout.toString()).toBe("ONE=1\n");
});

test("runs as the identity: its uid and gid, no capabilities, its own process group", async () => {
  const { stdout } = await run("cat", ["/proc/self/status", "/proc/self/stat"], options({ identity: SESSION }));
  const status = stdout.toString();
  expect(status).toMatch(/^Uid:\s+24007\s+24007\s+24007\s+24007$/m);
  expect(status).toMatch(/^Gid:\s+24007\s+24007\s+24007\s+24007$/m);
  expect(status).toMatch(/^CapEff:\s+0{16}$/m);
  expect(status).toMatch(/^CapPrm:\s+0{16}$/m);
  const [, pid, group] = /^(\d+) \(cat\) \S+ \d+ (\d+) /m.exec(status) ?? [];
  expect(group).toBe(pid);
});

test("drops the agent's supplementary groups", () => {
  // Node's own spawn, from a parent that has some, as run and spawnAs use it.
  const script = `process.stdout.write(require("child_process").execFileSync("id", ["-G"], { uid: 24007, gid: 24007, encoding: "utf8" }))`;
  const { stdout } = spawnSync("setpriv", ["--groups", "4,27,100", process.execPath, "-e", script], {
    encoding: "utf8",
  });
  expect(stdout).toBe("24007\n");
});

test("enters a directory that only the identity may enter", async () => {
  const home = join(directory, "home");
  mkdirSync(home, { mode: 0o700 });
  chownSync(home, SESSION.uid, SESSION.gid);
  const { stdout } = await run(
    "sh",
    ["-c", "pwd; umask; cat /proc/self/oom_score_adj; touch made"],
    options({
      identity: SESSION,
      cwd: home,
      umask: "027",
      oomScoreAdjust: 321,
    }),
  );
  expect(stdout.toString()).toBe(`${home}\n0027\n321\n`);
  expect(existsSync(join(home, "made"))).toBe(true);
  expect(await run("true", [], options({ identity: SESSION, cwd: join(home, "none") }))).toMatchObject({ code: 126 });
});

test("says so when there is no such command", async () => {
  await expect(run("cc-no-such-command", [], options())).rejects.toMatchObject({ reason: "COMMAND_NOT_STARTED" });
  expect(await run("cc-no-such-command", [], options({ umask: "022" }))).toMatchObject({ code: 127 });
});

test("survives a command that does not read its input", async () => {
  expect(await run("true", [], options({ input: Buffer.alloc(1 << 20) }))).toMatchObject({ code: 0 });
});

test("ends the whole group when aborted, by force if need be, and rejects with the reason", async () => {
  const reason = new Error("enough");
  const controller = new AbortController();
  const running = run(
    "sh",
    ["-c", "trap '' TERM; sleep 600 & sleep 600 & wait; sleep 600"],
    options({ identity: SESSION, signal: controller.signal }),
  );
  await expect.poll(() => processesOf(SESSION.uid).length).toBe(3);
  controller.abort(reason);
  await expect(running).rejects.toBe(reason);
  await expect.poll(() => processesOf(SESSION.uid)).toEqual([]);
  await expect(run("true", [], options({ signal: controller.signal }))).rejects.toBe(reason);
});

test("does not wait for a process that left the group and keeps the pipes open", async () => {
  const controller = new AbortController();
  const running = run(
    "setsid",
    ["-f", "sh", "-c", "echo started; exec sleep 30"],
    options({ identity: SESSION, signal: controller.signal }),
  );
  await expect.poll(() => processesOf(SESSION.uid).length).toBe(1);
  controller.abort(new Error("enough"));
  await expect(running).rejects.toThrow("enough");
  for (const pid of processesOf(SESSION.uid)) process.kill(pid, "SIGKILL");
});

test("kills a command that writes more than it may", async () => {
  const started = performance.now();
  await expect(run("yes", [], options({ maxOutputBytes: 1 << 20 }))).rejects.toMatchObject({
    reason: "OUTPUT_TOO_LARGE",
  });
  expect(performance.now() - started).toBeLessThan(5000);
});

test("keeps the end of a long stderr, and passes all of it on", async () => {
  let seen = 0;
  const { stderr } = await run(
    "sh",
    ["-c", "seq 100000 >&2"],
    options({
      onStderr: (chunk) => {
        seen += chunk.length;
      },
    }),
  );
  expect(stderr.endsWith("99999\n100000\n")).toBe(true);
  expect(stderr.length).toBeLessThanOrEqual(32 * 1024);
  expect(seen).toBe(588_895);
});

test("signals a long-running child together with what it started", async () => {
  const child = spawnAs("sh", ["-c", "sleep 600 & wait"], { identity: SESSION, env: { PATH }, stdio: "ignore" });
  await expect.poll(() => processesOf(SESSION.uid).length).toBe(2);
  expect(signalGroup(child, "SIGTERM")).toBe(true);
  await expect.poll(() => processesOf(SESSION.uid)).toEqual([]);
  await expect.poll(() => child.signalCode).toBe("SIGTERM");

  // The orphan is gone once the machine's first process has collected it.
  await expect.poll(() => signalGroup(child, "SIGTERM"), { timeout: 10_000 }).toBe(false);
});
