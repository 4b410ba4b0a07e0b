import { execFileSync } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { processesOf } from "../process/kill-all.ts";
import { requireRoot } from "../../test/git/work-area.ts";
import { TouchedPaths } from "./touched-paths.ts";
import { watchTree } from "./watch-tree.ts";

/** A user of this file alone: it counts and kills processes. */
const SESSION = { uid: 25006, gid: 25006 };

beforeAll(requireRoot);

function asClaude(directory: string, script: string): void {
  execFileSync("sh", ["-ec", script], { cwd: directory, ...SESSION });
}

/** Counts ticks while the body runs, and waits for the end of the generator. */
async function watching(
  options: { command?: string },
  body: (directory: string, ticks: () => number) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync("/tmp/cc-watch-");
  chownSync(directory, SESSION.uid, SESSION.gid);
  mkdirSync(`${directory}/.git`);
  chownSync(`${directory}/.git`, SESSION.uid, SESSION.gid);
  const controller = new AbortController();
  let ticks = 0;
  const counting = (async () => {
    for await (const _ of watchTree(directory, {
      identity: SESSION,
      touched: new TouchedPaths(),
      signal: controller.signal,
      ...options,
    }))
      ticks++;
  })();
  try {
    await expect.poll(() => ticks).toBe(1);
    await body(directory, () => ticks);
  } finally {
    controller.abort();
    await counting;
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Waits for the second tick, which comes when the watches are set up for certain. */
async function settled(ticks: () => number): Promise<void> {
  await expect.poll(ticks, { timeout: 5000 }).toBe(2);
}

test("ticks when it starts and when it is ready, then for every burst of changes, wherever in the tree they are", async () => {
  await watching({}, async (directory, ticks) => {
    await settled(ticks);
    for (const script of [
      "echo x > a",
      "echo y >> a",
      "chmod +x a",
      "mv a b",
      "mkdir -p c/d",
      "sleep 0.2; echo x > c/d/e",
      "rm -r c",
      "ln -s x y",
    ]) {
      const before = ticks();
      asClaude(directory, script);
      await expect.poll(ticks, { timeout: 3000 }).toBeGreaterThan(before);
      await sleep(100);
    }
  });
});

test("keeps still while only .git changes", async () => {
  await watching({}, async (directory, ticks) => {
    await settled(ticks);
    asClaude(directory, "echo x > .git/index; mkdir .git/objects; sleep 0.1; echo x > .git/objects/x");
    await sleep(300);
    expect(ticks()).toBe(2);
  });
});

test("makes one tick of all that happens between two calls", async () => {
  const directory = mkdtempSync("/tmp/cc-watch-");
  chownSync(directory, SESSION.uid, SESSION.gid);
  const controller = new AbortController();
  const ticks = watchTree(directory, { identity: SESSION, touched: new TouchedPaths(), signal: controller.signal });
  await ticks.next();
  await ticks.next();
  asClaude(directory, "for i in $(seq 2000); do echo $i > file$i; done");
  await sleep(500);
  await ticks.next();
  const next = ticks.next();
  expect(await Promise.race([next, sleep(500, "still")])).toBe("still");
  controller.abort();
  expect(await next).toEqual({ done: true, value: undefined });
  rmSync(directory, { recursive: true });
}, 20_000);

test("ticks every two seconds where inotifywait cannot run, or is killed", async () => {
  await watching({ command: "cc-no-such-command" }, async (_, ticks) => {
    await expect.poll(ticks, { timeout: 5000 }).toBeGreaterThanOrEqual(3);
  });
  await watching({}, async (_, ticks) => {
    await settled(ticks);
    for (const pid of processesOf(SESSION.uid)) process.kill(pid, "SIGKILL");
    await expect.poll(ticks, { timeout: 5000 }).toBeGreaterThanOrEqual(4);
  });
}, 20_000);

test("ends with its signal and leaves no process behind", async () => {
  const before = processesOf(SESSION.uid);
  await watching({}, async () => {
    await expect.poll(() => processesOf(SESSION.uid).length).toBe(before.length + 1);
  });
  expect(processesOf(SESSION.uid)).toEqual(before);
});
