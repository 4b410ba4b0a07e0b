import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { editRandomly, randomFrom } from "../git/random-edits.ts";
import { makeRandomly } from "../git/random-state.ts";
import { restoreSnapshot } from "../git/restored-snapshot.ts";
import { isIgnored, RoundTrip } from "../git/round-trip.ts";
import { seedGroups } from "../git/seeds.ts";
import { readTree } from "../git/tree-snapshot.ts";
import { makeUserDirectory } from "../git/user-directory.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { type Rig, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** A task in which Claude makes its work tree the same as a directory of ours, .git aside. */
function makeSame(directory: string): string {
  const names = readdirSync(directory, { encoding: "buffer" }).filter((name) => name.toString() !== ".git");
  const input = Buffer.concat(names.flatMap((name) => [Buffer.from("./"), name, Buffer.from([0])]));
  const tar = execFileSync("tar", ["-C", directory, "-cz", "--null", "-T", "-"], { input }).toString("base64");
  const empty = "find . -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf -- {} +";
  const command = `${empty} && base64 -d <<'END' | tar -xz\n${tar}\nEND`;
  return `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`;
}

for (const [seed = 0] of seedGroups({ first: 1, last: 3, perGroup: 1 })) {
  test(`has what Claude made in a container exactly in the user's files, and touches nothing before (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const user = makeUserDirectory();
    const kind = makeRandomly(user, random);
    const area = mkdtempSync(join(tmpdir(), "round-trip-"));
    onTestFinished(() => rmSync(area, { recursive: true }));
    const end = join(area, "end");
    const snapshot = await user.take();
    restoreSnapshot(snapshot, end);
    const start = readTree(end);
    editRandomly(end, random, { spareGit: true });
    const task = makeSame(end);
    const trip = new RoundTrip(user);

    const cli = (...args: string[]) => claudecluster(rig.mcp.place, args, { cwd: user.root });
    const { stdout, stderr } = await cli("run", task, "-r", user.root, "--json");
    const session = JSON.parse(stdout) as { session_id: string; state: string; change_count: number };
    expect(session, stderr).toMatchObject({ state: "succeeded" });
    trip.expectUntouched();

    const wanted = readTree(end, isIgnored(start));
    const applied = await cli("apply", session.session_id, "--worktree");
    if (session.change_count === 0) return;
    if (applied.code !== 0) return trip.expectBlocked(`${kind}: ${applied.stderr}`);
    trip.expectApplied({ start, end: wanted, now: await user.take() });
    const undone = await cli("undo");
    expect(undone.code, undone.stderr).toBe(0);
    trip.expectUndone();
  }, 120_000);
}
