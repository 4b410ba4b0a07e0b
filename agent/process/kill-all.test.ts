import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import type { Identity } from "./identity.ts";
import { killAllOf, processesOf } from "./kill-all.ts";
import { signalGroup, spawnAs } from "./run.ts";

const SESSION: Identity = { uid: 24001, gid: 24001 };
const OTHER: Identity = { uid: 24002, gid: 24002 };
const env = { PATH: process.env["PATH"] ?? "" };

beforeAll(() => {
  if (process.getuid?.() !== 0)
    throw new Error("These tests start processes as other users. Run them as root: sudo npm test");
});

test("kills a user's processes and nobody else's, whatever group or session they are in", async () => {
  const mine = spawnAs("sh", ["-c", "sleep 600 & setsid sleep 600 & trap '' TERM INT HUP; wait"], {
    identity: SESSION,
    env,
  });
  const other = spawnAs("sleep", ["600"], { identity: OTHER, env });
  try {
    await expect.poll(() => processesOf(SESSION.uid).length).toBe(3);
    await killAllOf(SESSION);
    expect(processesOf(SESSION.uid)).toEqual([]);
    expect(other.exitCode).toBe(null);
    expect(processesOf(OTHER.uid)).toEqual([other.pid]);
    await expect.poll(() => mine.signalCode).toBe("SIGKILL");
  } finally {
    signalGroup(other, "SIGKILL");
  }
});

test("ends a fork bomb", async () => {
  // Each one starts another before it ends, a few hundred at a time: none lives long enough to be found by its id.
  const bomb = 'f() { [ "$(ls /proc | wc -l)" -lt 400 ] && f & sleep 0.01; exec sh "$0"; }';
  const child = spawnAs("sh", ["-c", `${bomb.replace('exec sh "$0"', "f")}; f & f & f & wait`], {
    identity: SESSION,
    env,
    stdio: "ignore",
  });
  await expect.poll(() => processesOf(SESSION.uid).length).toBeGreaterThan(5);
  await killAllOf(SESSION);
  await sleep(50);
  expect(processesOf(SESSION.uid)).toEqual([]);
  await expect.poll(() => child.signalCode).toBe("SIGKILL");
});

test("kills stopped processes, and those that only ever were of the user by their saved uid", async () => {
  const stopped = spawnAs("sleep", ["600"], { identity: SESSION, env });
  stopped.kill("SIGSTOP");
  await killAllOf(SESSION);
  await expect.poll(() => stopped.signalCode).toBe("SIGKILL");
});

test.each([
  ["whose name ends its line and says that it is a zombie", "printf '\\rState:\\tZ' > /proc/self/comm; :"],
  ["whose name ends its line and says that it is root's", "printf '\\rUid:\\t0 0 0 0' > /proc/self/comm; :"],
])("kills a process %s", async (_, disguise) => {
  const child = spawnAs("sh", ["-c", `${disguise}; echo; read forever`], { identity: SESSION, env });
  await once(child.stdout!, "data");
  expect(processesOf(SESSION.uid)).toEqual([child.pid]);
  await killAllOf(SESSION);
  await expect.poll(() => child.signalCode).toBe("SIGKILL");
});

test("kills a process whose first thread has ended while another goes on", async () => {
  const program = `import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
print(flush=True)
ctypes.CDLL(None).pthread_exit(None)`;
  const child = spawnAs("python3", ["-c", program], { identity: SESSION, env });
  await once(child.stdout!, "data");
  await expect.poll(() => readFileSync(`/proc/${child.pid}/status`, "latin1")).toMatch(/^State:\tZ/m);
  expect(processesOf(SESSION.uid)).toEqual([child.pid]);
  await killAllOf(SESSION);
  await expect.poll(() => child.signalCode).toBe("SIGKILL");
});

test.each([
  ["is gone as soon as it can be seen, and leaves another one", ""],
  ["does so and kills all others of its user each time", "kill 'KILL', -1;"],
])("ends a process that %s", async (_, attack) => {
  // Each one starts the next and ends: the ids in a list of processes are those of the past. It ends some day, since
  // whoever collects orphans on this machine may take its time.
  const hops = `$| = 1; for (my $n = 0; $n < 20_000; $n++) { print "."; exit if fork; ${attack} }`;
  const child = spawnAs("perl", ["-e", hops], { identity: SESSION, env });
  let count = 0;
  child.stdout!.on("data", (dots: Buffer) => (count += dots.length));
  const closed = once(child, "close");
  await expect.poll(() => count).toBeGreaterThan(10);
  await killAllOf(SESSION);
  expect(processesOf(SESSION.uid)).toEqual([]);
  // Its successors have the pipe.
  await closed;
  expect(count).toBeLessThan(20_000);
});

test("ends a process whose threads are gone as soon as they can be seen, each leaving another one", async () => {
  const program = `import ctypes, sys, threading
def hop(left):
  sys.stdout.write("."); sys.stdout.flush()
  if left > 0: threading.Thread(target=hop, args=(left - 1,)).start()
threading.Thread(target=hop, args=(100_000,)).start()
ctypes.CDLL(None).pthread_exit(None)`;
  const child = spawnAs("python3", ["-c", program], { identity: SESSION, env });
  let count = 0;
  child.stdout!.on("data", (dots: Buffer) => (count += dots.length));
  const closed = once(child, "close");
  await expect.poll(() => count).toBeGreaterThan(10);
  await killAllOf(SESSION);
  await closed;
  expect(child.signalCode).toBe("SIGKILL");
  expect(count).toBeLessThan(100_000);
});

test("does nothing where there is nothing, and does not wait for zombies", async () => {
  await killAllOf(SESSION);
  // A parent that never collects its child.
  const parent = spawn(
    process.execPath,
    [
      "-e",
      `
    const child = require("child_process").spawn("sleep", ["600"], { uid: 24001, gid: 24001 });
    console.log(child.pid);
    setTimeout(() => { for (;;); }, 50);`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    const pid = await new Promise<string>((resolve) =>
      parent.stdout.once("data", (data) => resolve(String(data).trim())),
    );
    await sleep(200);
    await killAllOf(SESSION);
    expect(readFileSync(`/proc/${pid}/status`, "latin1")).toMatch(/^State:\s+Z/m);
  } finally {
    parent.kill("SIGKILL");
  }
});

test("refuses to kill its own user's processes", async () => {
  await expect(killAllOf({ uid: 0, gid: 0 })).rejects.toMatchObject({ reason: "IDENTITY_OWN" });
});
