import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Session_State } from "../../proto/index.ts";
import { diffCommand } from "../../host/cli/diff.ts";
import { readPatch } from "../../host/present/read-session.ts";
import { SessionProgress } from "../../host/present/session-progress.ts";
import { watchUpdates } from "../../host/session/watch-updates.ts";
import { Plain } from "../support/screen.ts";
import { startLoadHost } from "./load-host.ts";
import { localAgents } from "./local-agent.ts";
import { watch } from "./watcher.ts";

const MIB = 1024 * 1024;

// A file system of its own: needs root, as the agent's tests do.
let disk: string;
beforeEach(() => {
  disk = mkdtempSync(join(tmpdir(), "claudecluster-disk-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=16m", "tmpfs", disk]);
});
afterEach(() => {
  execFileSync("umount", ["--lazy", disk]);
  rmSync(disk, { recursive: true });
});

/** Looks again until it is so. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10));
}

test.each(["goes on", "ends"])(
  "a session that %s while the disk is full loses nothing once there is room",
  async (what) => {
    const createAgent = localAgents({ eventsPerSecond: 100, eventCount: Infinity });
    await using host = await startLoadHost(() => createAgent, { parent: disk });
    const [id] = await host.create(1);
    const watching = watch(host.sessions, id!, { signal: AbortSignal.timeout(25_000) });
    await until(async () => (await host.sessions.get(id!)).lastSequence > 30);
    const [agent] = createAgent.agents;
    const told: string[] = [];
    const progress = new SessionProgress(id!);
    using _updates = watchUpdates(host.sessions, [id!], (session) => {
      const line = progress.look(session);
      if (line !== undefined) told.push(line);
    });

    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(join(disk, "ballast"), Buffer.alloc(bavail * bsize));
    const waiting = `no room in ${host.directory}; free some there, and it goes on by itself`;
    // What SQLite has taken before goes on for a while.
    await until(() => told.length > 0);
    const eventCount = agent!.lastSequence;
    if (what === "ends") agent!.finish();
    expect(await host.sessions.get(id!)).toMatchObject({ waitingReason: waiting });
    expect((await host.sessions.list({})).sessions).toMatchObject([{ waitingReason: waiting }]);
    const diff = { stdout: new Plain(), stderr: new Plain(), stdin: process.stdin, env: {} };
    const io = { ...diff, signal: new AbortController().signal };
    expect(await diffCommand(host.sessions, id!, { json: false, force: false }, io)).toBe(3);
    expect(diff.stderr.text).toContain(`is missing here. Waiting: ${waiting}.\n`);
    await expect(host.create(1)).rejects.toMatchObject({ reason: "STORE_FAILED", retryable: true });
    rmSync(join(disk, "ballast"));

    // One that ends at once says that instead.
    if (what === "goes on") {
      await until(() => told.length > 1);
      expect(told[1]).toBe("it goes on");
      agent!.finish();
    }
    const seen = await watching;
    expect(told[0]).toBe(`waiting: ${waiting}`);
    expect(seen).toMatchObject({ gapCount: 0, finished: true });
    expect(seen.eventCount).toBeGreaterThan(eventCount);
    expect(await host.sessions.get(id!)).toMatchObject({ waitingReason: "" });
    expect((await host.sessions.get(id!)).state).toBe(Session_State.SUCCEEDED);
  },
);

test("a session can be stopped while the disk is full", async () => {
  const createAgent = localAgents({ eventsPerSecond: 100, eventCount: 10_000 });
  await using host = await startLoadHost(() => createAgent, { parent: disk });
  const [id] = await host.create(1);
  const watching = watch(host.sessions, id!, { signal: AbortSignal.timeout(25_000) });
  await until(async () => (await host.sessions.get(id!)).lastSequence > 30);
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(join(disk, "ballast"), Buffer.alloc(bavail * bsize));
  await host.sessions.stop(id!, { reason: "enough" });
  const [agent] = createAgent.agents;
  await until(() => agent!.ended);
  rmSync(join(disk, "ballast"));
  expect(await watching).toMatchObject({ gapCount: 0, finished: true });
});

test("a patch that finds no room waits for it in the container, and takes none meanwhile", async () => {
  const patch = Buffer.alloc(4 * MIB, "patch");
  const createAgent = localAgents({ eventsPerSecond: 0, eventCount: Infinity });
  await using host = await startLoadHost(() => createAgent, { parent: disk });
  const [id] = await host.create(1);
  const watching = watch(host.sessions, id!, { signal: AbortSignal.timeout(25_000) });
  await until(async () => (await host.sessions.get(id!)).state === Session_State.RUNNING);
  // Room for events, and not for the patch.
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(join(disk, "ballast"), Buffer.alloc(bavail * bsize - 2 * MIB));
  createAgent.agents[0]!.finish({ patch });
  const artifacts = join(host.directory, "artifacts");
  const waitingReason = `no room in ${artifacts}; free some there, and it goes on by itself`;
  await until(async () => (await host.sessions.get(id!)).waitingReason === waitingReason);
  expect(readdirSync(artifacts)).toEqual([]);
  rmSync(join(disk, "ballast"));
  expect(await watching).toMatchObject({ gapCount: 0, finished: true });
  expect((await readPatch(host.sessions, id!)).equals(patch)).toBe(true);
  expect(readdirSync(artifacts)).toEqual([`${id}.patch`]);
});
