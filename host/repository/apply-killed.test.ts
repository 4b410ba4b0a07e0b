import { mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { applyIn, undoIn } from "../../test/git/apply-in.ts";
import { randomFrom } from "../../test/git/random-edits.ts";
import { changeFiles, type Files, randomFiles } from "../../test/git/random-trees.ts";
import { KilledProgram } from "../../test/git/run-killed.ts";
import { seedGroups } from "../../test/git/seeds.ts";
import { UserArea } from "../../test/git/user-area.ts";
import { applyToWorkTree } from "./apply-work-tree.ts";
import { Journal } from "./journal.ts";
import { prepareChanges } from "./session-changes.ts";
import { findRepository } from "./user-repository.ts";

const signal = new AbortController().signal;
const FILES = 40;

function manyFiles(text: string): Files {
  const names = Array.from({ length: FILES }, (_, n) => `f${String(n).padStart(3, "0")}.ts`);
  return new Map(names.map((name) => [name, { mode: "100644", content: `${text} ${name}\n` }]));
}

let killed: KilledProgram;
beforeAll(async () => {
  killed = await KilledProgram.bundle();
});
afterAll(() => killed[Symbol.asyncDispose]());

function applyKilled(area: UserArea, session: ReturnType<UserArea["changes"]>, call: string, count: number): void {
  killed.run(area, session, { call, count });
}

for (const [when, call, count] of [
  ["before it has the index", "renameSync", 1],
  ["when it has the index", "linkSync", 1],
  ["at the first file", "replace", 1],
  ["in the middle of the files", "replace", 20],
  ["at the last file", "replace", FILES],
  ["when it has written the index", "renameSync", 2],
  ["at its very end", "renameSync", 3],
] as const) {
  test(`what an apply has left that was killed ${when} is taken back by undo, lock and index included`, async () => {
    using area = new UserArea(manyFiles("old"));
    writeFileSync(join(area.directory, "mine.txt"), "mine\n");
    area.git("add", "mine.txt");
    area.git("status");
    const session = area.changes(area.head, manyFiles("new"));
    const before = area.state();
    applyKilled(area, session, call, count);
    const repository = await findRepository(area.directory, { signal });
    {
      // Nothing more is applied on top of it.
      await using prepared = await prepareChanges(repository, session, { signal });
      using journal = Journal.open(area.undoDirectory, repository.workTree);
      if (journal.entries()[0]?.record.state === "writing") {
        const again = applyToWorkTree(repository, prepared, { stage: false, journal, signal });
        await expect(again).rejects.toMatchObject({ reason: "APPLY_UNFINISHED" });
      }
    }
    await expect(undoIn(area)).resolves.toMatchObject({ fileCount: FILES });
    expect(area.state()).toEqual(before);
    await expect(undoIn(area)).rejects.toMatchObject({ reason: "NOTHING_TO_UNDO" });
  }, 120_000);
}

test("undo of an apply that was killed names the files that were changed since, with copies from before, and ends it", async () => {
  using area = new UserArea(manyFiles("old"));
  const session = area.changes(area.head, manyFiles("new"));
  const before = area.state();
  applyKilled(area, session, "replace", 20);
  const texts = [...manyFiles("").keys()].map((name) => readFileSync(join(area.directory, name), "utf8"));
  const [reached, notReached] = [texts.findIndex((text) => text.startsWith("new")), texts.lastIndexOf("old f039.ts\n")];
  expect([reached, notReached]).not.toContain(-1);
  const edited = [reached, notReached].map((at) => `f${String(at).padStart(3, "0")}.ts`);
  for (const name of edited) writeFileSync(join(area.directory, name), "the user's\n");
  const undone = await undoIn(area);
  expect(undone).toMatchObject({ unfinished: true, fileCount: FILES - 2 });
  expect(undone.left.map(({ path }) => path)).toEqual(edited);
  for (const { path, copy } of undone.left) expect(readFileSync(copy!, "utf8")).toBe(`old ${path}\n`);
  for (const name of edited) {
    expect(readFileSync(join(area.directory, name), "utf8")).toBe("the user's\n");
    writeFileSync(join(area.directory, name), `old ${name}\n`);
  }
  expect(area.state()).toEqual(before);
  await expect(undoIn(area)).rejects.toMatchObject({ reason: "NOTHING_TO_UNDO" });
  await applyIn(area, session);
}, 120_000);

test("undo of an apply that was killed leaves what was staged otherwise since, and what stands in a file's way", async () => {
  using area = new UserArea(manyFiles("old"));
  const result = new Map(manyFiles("new"));
  result.delete("f000.ts");
  const session = area.changes(area.head, result);
  // The index is written, and the state is not.
  applyKilled(area, session, "renameSync", 2);
  writeFileSync(join(area.directory, "f003.ts"), "the user's\n");
  unlinkSync(join(area.directory, ".git/index.lock"));
  area.git("add", "f003.ts");
  mkdirSync(join(area.directory, "f000.ts"));
  writeFileSync(join(area.directory, "f000.ts/inside"), "the user's\n");
  const { left } = await undoIn(area);
  expect(left.map(({ path }) => path)).toEqual(["f000.ts", "f003.ts"]);
  expect(area.git("status", "--porcelain", "-uall")).toBe(" D f000.ts\nM  f003.ts\n?? f000.ts/inside\n");
}, 120_000);

test.each([
  ["was empty yet", false],
  ["held a file in the making", true],
])(
  "undo of an apply that was killed removes a directory that stood in a file's place and %s",
  async (_what, filled) => {
    using area = new UserArea(manyFiles("old"));
    const result = new Map(manyFiles("new"));
    result.delete("f000.ts");
    result.set("f000.ts/deep/inside", { mode: "100644", content: "x\n" });
    const session = area.changes(area.head, result);
    const before = area.state();
    applyKilled(area, session, "renameSync", 1);
    unlinkSync(join(area.directory, "f000.ts"));
    mkdirSync(join(area.directory, "f000.ts/deep"), { recursive: true });
    if (filled) writeFileSync(join(area.directory, `f000.ts/deep/.${markOf(area)}`), "x\n");
    await undoIn(area);
    expect(area.state()).toEqual(before);
  },
  120_000,
);

test("the next apply removes what one that was killed has left among the temporary files, and no other's", async () => {
  using area = new UserArea(manyFiles("old"));
  const session = area.changes(area.head, manyFiles("new"));
  applyKilled(area, session, "replace", 20);
  await undoIn(area);
  vi.stubEnv("TMPDIR", area.top);
  onTestFinished(() => void vi.unstubAllEnvs());
  const scratches = () => readdirSync(area.top).filter((name) => name.startsWith("claudecluster-scratch-"));
  const left = scratches();
  expect(left).toHaveLength(1);
  const repository = await findRepository(area.directory, { signal });
  await using prepared = await prepareChanges(repository, session, { signal });
  const { directory } = prepared.scratch;
  expect(scratches()).toHaveLength(2);
  const anHourAgo = Date.now() / 1000 - 3600;
  for (const name of scratches()) utimesSync(join(area.top, name), anHourAgo, anHourAgo);
  await applyIn(area, session);
  expect(scratches()).toEqual([basename(directory)]);
}, 120_000);

test("undo goes on where one was killed between a directory and the one above it", async () => {
  using area = new UserArea(manyFiles("old"));
  const result = new Map(manyFiles("new"));
  result.delete("f000.ts");
  for (const path of ["f000.ts/deep/inside", "made/deep/inside"]) result.set(path, { mode: "100644", content: "x\n" });
  const before = area.state();
  await applyIn(area, area.changes(area.head, result));
  for (const name of ["f000.ts/deep", "made/deep"]) rmSync(join(area.directory, name), { recursive: true });
  await undoIn(area);
  expect(area.state()).toEqual(before);
});

/** The mark of the apply that was killed. */
function markOf(area: UserArea): string {
  using journal = Journal.open(area.undoDirectory, area.directory);
  return journal.entries()[0]!.record.mark;
}

/** Takes back what is there to be taken back. */
async function undoIfAny(area: UserArea): Promise<void> {
  await undoIn(area).catch((error: unknown) => expect(error).toMatchObject({ reason: "NOTHING_TO_UNDO" }));
}

// From the first git that rebuilds the session's tree to the last file of the journal.
for (const [seed = 0] of seedGroups({ first: 1, last: 3, perGroup: 1 })) {
  test(`an apply, and an undo, that are killed anywhere leave nothing that undo does not take back (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const start = randomFiles(random);
    using area = new UserArea(start);
    const result = changeFiles(changeFiles(start, random), random);
    const session = area.changes(area.head, result);
    if (session.patch.length === 0) return;
    area.git("status");
    const before = area.state();

    // Later ones find it, too, and make as many calls.
    Journal.open(area.undoDirectory, area.directory)[Symbol.dispose]();
    const calls = killed.run(area, session, { call: "any", count: 0 });
    const after = area.state();
    expect(after).not.toEqual(before);
    const undoCalls = killed.run(area, session, { action: "undo", call: "any", count: 0 });
    expect(area.state()).toEqual(before);

    const count = 1 + Math.floor(random() * calls);
    killed.run(area, session, { call: "any", count });
    await undoIfAny(area);
    expect(area.state(), `apply killed at call ${count} of ${calls}`).toEqual(before);

    await applyIn(area, session, { stage: true });
    expect(area.state()).toEqual(after);
    const undoCount = 1 + Math.floor(random() * undoCalls);
    killed.run(area, session, { action: "undo", call: "any", count: undoCount });
    await undoIfAny(area);
    expect(area.state(), `undo killed at call ${undoCount} of ${undoCalls}`).toEqual(before);
  }, 60_000);
}
