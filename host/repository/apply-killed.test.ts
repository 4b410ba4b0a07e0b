import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { Files } from "../../test/git/random-trees.ts";
import { UserArea } from "../../test/git/user-area.ts";
import { applyToWorkTree } from "./apply-work-tree.ts";
import { Journal } from "./journal.ts";
import { prepareChanges } from "./session-changes.ts";
import { undoApply } from "./undo.ts";
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

async function undo(area: UserArea) {
  const repository = await findRepository(area.directory, { signal });
  using journal = Journal.open(area.undoDirectory, repository.workTree);
  return await undoApply(repository, { journal, signal });
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
    await expect(undo(area)).resolves.toMatchObject({ fileCount: FILES });
    expect(area.state()).toEqual(before);
    await expect(undo(area)).rejects.toMatchObject({ reason: "NOTHING_TO_UNDO" });
  }, 120_000);
}
