import { expect, test } from "vitest";
import { randomFrom } from "../../test/git/random-edits.ts";
import { changeFiles, type Files, randomFiles } from "../../test/git/random-trees.ts";
import { seedGroups } from "../../test/git/seeds.ts";
import { UserArea } from "../../test/git/user-area.ts";
import { applyToWorkTree } from "./apply-work-tree.ts";
import { Journal } from "./journal.ts";
import { prepareChanges } from "./session-changes.ts";
import { undoApply } from "./undo.ts";
import { findRepository } from "./user-repository.ts";

const signal = new AbortController().signal;

async function apply(area: UserArea, result: Files, { stage = false, start = area.head } = {}) {
  const repository = await findRepository(area.directory, { signal });
  await using prepared = await prepareChanges(repository, area.changes(start, result), { signal });
  using journal = Journal.open(area.undoDirectory, repository.workTree);
  return await applyToWorkTree(repository, prepared, { stage, journal, signal });
}

async function undo(area: UserArea) {
  const repository = await findRepository(area.directory, { signal });
  using journal = Journal.open(area.undoDirectory, repository.workTree);
  return await undoApply(repository, { journal, signal });
}

/** The tree of all that lies in the work tree and is not ignored. */
function lying(area: UserArea): string {
  const env = { GIT_INDEX_FILE: `${area.top}/lying.index` };
  area.gitWith({ env }, "read-tree", "HEAD");
  area.gitWith({ env }, "add", "-A");
  return area.gitWith({ env }, "write-tree").trim();
}

for (const seeds of seedGroups({ first: 1, last: 30, perGroup: 10 })) {
  test(`writes exactly a session's changes into any work tree, and takes them back to the byte (seeds ${seeds[0]} to ${seeds.at(-1)})`, async () => {
    for (const seed of seeds) {
      const label = `seed ${seed}`;
      const random = randomFrom(seed);
      const start = randomFiles(random);
      using area = new UserArea(start);
      // The user's own work is on other files than the session's.
      const isUsers = (path: string) =>
        (path.length + path.charCodeAt(path.length - 1)) % 3 === 0 && !/inside/.test(path);
      const result = changeFiles(start, random, (path) => !isUsers(path));
      const users = random() < 0.7 ? changeFiles(start, random, isUsers) : start;
      const staged = random() < 0.5 ? changeFiles(users, random, isUsers) : start;
      const head = area.head;
      if (staged !== start) {
        area.put(staged);
        area.git("add", "-A");
      }
      area.put(users);
      area.git("status");
      const expected: Files = new Map(users);
      for (const path of new Set([...start.keys(), ...result.keys()])) {
        if (start.get(path) === result.get(path)) continue;
        expected.delete(path);
        if (result.has(path)) expected.set(path, result.get(path)!);
      }
      const before = area.state();
      const wanted = area.tree(expected);
      if (wanted === area.tree(users)) continue;
      const stage = random() < 0.4;
      const stagedBefore = area.git("ls-files", "-s", "-z");
      try {
        await apply(area, result, { stage, start: head });
      } catch (error) {
        throw new Error(label, { cause: error });
      }
      expect(lying(area), label).toBe(wanted);
      if (!stage) expect(area.git("ls-files", "-s", "-z"), label).toBe(stagedBefore);
      else {
        const differ = area.git("diff-index", "-z", "--name-only", "--cached", area.tree(result)).split("\0");
        expect(
          differ.filter((path) => path !== "" && !isUsers(path)),
          label,
        ).toEqual([]);
      }
      const refreshed = random() < 0.5;
      if (refreshed) area.git("status");
      await undo(area);
      const after = area.state();
      // git itself has written down other times.
      if (!stage && refreshed) {
        before.delete(".git/index");
        after.delete(".git/index");
      }
      expect(after, label).toEqual(before);
    }
  }, 240_000);
}
