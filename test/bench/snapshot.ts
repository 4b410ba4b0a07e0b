import { execFile } from "node:child_process";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { takeSnapshot } from "../../host/repository/snapshot.ts";
import { fillRepository, largePath, type LargeRepository } from "./large-repository.ts";
import { inTurn, type Part } from "./part.ts";

/** 1 GB. */
const REPOSITORY = { files: 50_000, fileBytes: 20_000 };
const STAGED = 20;
const CHANGED = 200;
const UNTRACKED = 200;

const run = promisify(execFile);

/** A snapshot of a large work tree with some work in it, against a clone of it and against `git add` in a copy of its index. */
export const snapshot: Part = async ({ longRounds, figures, say }) => {
  const area = await mkdtemp(join(tmpdir(), "claudecluster-snapshot-"));
  try {
    say(`making a repository of ${REPOSITORY.files} files`);
    const root = join(area, "user");
    await makeWorkTree(area, root, REPOSITORY);
    const store = join(area, "kept-store");
    for (let round = 0; round <= longRounds; round++) {
      say(round === 0 ? "warming up" : `snapshot ${round} of ${longRounds}`);
      const took = await inTurn(round, {
        clone: () => clone(root, join(area, "clone")),
        add: () => addInCopy(root, join(area, "copy")),
        first: () => snapshotInto(root, join(area, "new-store"), { keep: false }),
        again: () => snapshotInto(root, store, { keep: true }),
      });
      if (round === 0) continue;
      figures.add("git clone --no-hardlinks", took.clone);
      figures.add("git add -A and git write-tree in a copy", took.add);
      figures.add("first snapshot", took.first);
      figures.add("second snapshot", took.again);
      figures.addRatio("first snapshot / git clone --no-hardlinks", took.first, took.clone);
      figures.addRatio("first snapshot / git add and write-tree", took.first, took.add);
      figures.addRatio("second snapshot / first snapshot", took.again, took.first);
    }
  } finally {
    await rm(area, { recursive: true });
  }
};

/** Makes a work tree with some work in it. */
export async function makeWorkTree(area: string, root: string, repository: LargeRepository): Promise<void> {
  const bare = join(area, "origin.git");
  await run("git", ["init", "-q", "--bare", "-b", "main", bare]);
  await fillRepository(bare, repository);
  await run("git", ["clone", "-q", "--no-hardlinks", bare, root]);
  await rm(bare, { recursive: true });
  const edit = (path: string, text: string): Promise<void> => writeFile(join(root, path), text.repeat(500));
  for (let index = 0; index < STAGED; index++) await edit(largePath(index), `staged ${index}\n`);
  await run("git", ["-C", root, "add", "-u"]);
  for (let index = STAGED; index < CHANGED; index++) await edit(largePath(index * 200), `changed ${index}\n`);
  for (let index = 0; index < UNTRACKED; index++) await edit(`part1/new${index}.ts`, `new ${index}\n`);
}

async function clone(root: string, target: string): Promise<number> {
  return await timed(target, () => run("git", ["clone", "-q", "--no-hardlinks", root, target]));
}

async function addInCopy(root: string, directory: string): Promise<number> {
  return await timed(directory, async () => {
    await run("git", ["init", "-q", "--bare", directory]);
    await copyFile(join(root, ".git/index"), join(directory, "index"));
    const env = {
      ...process.env,
      GIT_INDEX_FILE: join(directory, "index"),
      GIT_OBJECT_DIRECTORY: join(directory, "objects"),
      GIT_ALTERNATE_OBJECT_DIRECTORIES: join(root, ".git/objects"),
    };
    await run("git", ["-C", root, "add", "-A"], { env });
    await run("git", ["-C", root, "write-tree"], { env });
  });
}

async function snapshotInto(root: string, storeDirectory: string, { keep }: { keep: boolean }): Promise<number> {
  const signal = AbortSignal.timeout(600_000);
  return await timed(keep ? undefined : storeDirectory, () => takeSnapshot({ path: root, storeDirectory, signal }));
}

/** Does something, and removes what it has made. Returns how long the first took, in ms. */
async function timed(made: string | undefined, act: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await act();
  const took = performance.now() - start;
  if (made !== undefined) await rm(made, { recursive: true });
  return took;
}
