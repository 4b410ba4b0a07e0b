import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { applyIn, undoIn } from "../../test/git/apply-in.ts";
import type { Files } from "../../test/git/random-trees.ts";
import { UserArea } from "../../test/git/user-area.ts";
import { applyToWorkTree } from "./apply-work-tree.ts";
import { Journal } from "./journal.ts";
import { prepareChanges } from "./session-changes.ts";
import { findRepository } from "./user-repository.ts";

const signal = new AbortController().signal;
const FILES = 40;
const PROGRAM = fileURLToPath(new URL("../../test/git/apply-process.ts", import.meta.url));
const FLAGS = ["--experimental-transform-types", "--disable-warning=ExperimentalWarning"];

function manyFiles(text: string): Files {
  const names = Array.from({ length: FILES }, (_, n) => `f${String(n).padStart(3, "0")}.ts`);
  return new Map(names.map((name) => [name, { mode: "100644", content: `${text} ${name}\n` }]));
}

/** Runs an apply in a process of its own that is killed once a function of the file system was called so often. */
function applyKilled(area: UserArea, session: ReturnType<UserArea["changes"]>, call: string, count: number): void {
  const file = join(area.top, "given.json");
  const { directory, undoDirectory } = area;
  const patch = session.patch.toString("base64");
  writeFileSync(file, JSON.stringify({ directory, undoDirectory, session: { ...session, patch } }));
  const { signal: endedBy } = spawnSync(process.execPath, [...FLAGS, PROGRAM, file, call, String(count)], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, TMPDIR: area.top },
  });
  expect(endedBy).toBe("SIGKILL");
}

for (const [when, call, count] of [
  ["before it has the index", "renameSync", 1],
  ["when it has the index", "linkSync", 1],
  ["at the first file", "rename", 1],
  ["in the middle of the files", "rename", 20],
  ["at the last file", "rename", FILES],
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
  applyKilled(area, session, "rename", 20);
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
