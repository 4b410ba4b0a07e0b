import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { joinPaths, type RawPath, splitPaths } from "../../proto/index.ts";
import { isAttributes } from "./attribute-files.ts";
import { git, type GitOptions, type GitPlace, tryGit } from "./git.ts";
import { writePointers } from "./large-files.ts";
import type { PrivateIndex } from "./private-index.ts";
import type { RepositoryStore } from "./repository-store.ts";
import type { TreeEntry } from "./synthetic-commits.ts";
import { parseTreeDiff, TREE_DIFF, type TreeChange } from "./tree-diff.ts";
import type { ChangedFile } from "./work-tree-status.ts";

/** How often files are read once more that changed while they were read. */
const MORE_READINGS = 2;

const STAGE = ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"];
const FORGET = ["update-index", "-z", "--force-remove", "--stdin"];
const LIST_ATTRIBUTES = ["ls-files", "-s", "-z", "--", ":(glob)**/.gitattributes"];
const LIST_DIRTY = ["diff-files", ...TREE_DIFF, "--ignore-submodules=all"];
const DIFF = ["diff-index", "--cached", ...TREE_DIFF];

/** Files that `readFiles` reads, and what it compares them with. */
export interface FilesToRead {
  /** Tracked files, and submodules, that are there. */
  changed: readonly ChangedFile[];
  /** Tracked files that are not there. */
  gone: readonly RawPath[];
  untracked: readonly RawPath[];
  /** Files among them that Git LFS keeps: their pointers go in. */
  large: ReadonlySet<RawPath>;
  /** Top of the work tree. */
  root: string;
  /** Commit, or empty tree, to compare with. */
  base: string;
  signal: AbortSignal;
}

/** Files as they were read. */
export interface ReadFiles {
  /** Entries that differ from the base, with the work tree's files as they are. */
  entries: Map<RawPath, TreeEntry>;
  /** Files that git could not take. */
  unreadable: RawPath[];
  /** Files that still changed when they were read for the third time. */
  changedWhileRead: RawPath[];
}

/**
 * Reads files into the store, each as the user's git would write it. Nothing of the user's is touched, not even a time.
 * For git renews the time of an object that it would write and finds in a place that it reads from. So it writes into a
 * directory beside copies of the few objects that it needs, and the store takes the new objects from there.
 */
export async function readFiles(index: PrivateIndex, store: RepositoryStore, files: FilesToRead): Promise<ReadFiles> {
  const { base, changed, gone, untracked, large, root, signal } = files;
  const old = new OldContent(index, store);
  const attributes = splitPaths(await git(index.place, LIST_ATTRIBUTES, { signal }));
  await old.copy([...attributes.map((line) => line.split(" ")[1]!), ...changed.map(({ indexId }) => indexId)], {
    signal,
  });
  const written = join(index.directory, "new-objects");
  await mkdir(written);
  const work = { ...(await index.copy("work")), objectDirectory: written, alternates: [old.directory] };
  const unreadable = new Set<RawPath>();
  const stage = async (paths: readonly RawPath[]): Promise<void> => {
    for (const path of await stageByHalves(work, paths, { signal })) unreadable.add(path);
  };
  const there = [...changed.map(({ path }) => path), ...untracked].filter((path) => !large.has(path));
  const reading: GitPlace = { ...work, alternates: [store.objectDirectory, ...store.borrowed] };
  const take = async (isTaken: (path: RawPath) => boolean): Promise<TreeChange[]> => {
    const forgotten = gone.filter(isTaken);
    if (forgotten.length > 0) await git(work, FORGET, { signal, input: joinPaths(forgotten) });
    await stage(there.filter(isTaken));
    const listRestless = async (): Promise<TreeChange[]> =>
      parseTreeDiff(await git(reading, LIST_DIRTY, { signal })).filter(
        ({ path }) => !unreadable.has(path) && !large.has(path) && isTaken(path),
      );
    let restless = await listRestless();
    for (let count = 0; count < MORE_READINGS && restless.length > 0; count++) {
      await old.copy(
        restless.map(({ oldId }) => oldId),
        { signal },
      );
      await stage(restless.map(({ path }) => path));
      restless = await listRestless();
    }
    return restless;
  };
  // Where attributes are gone, or no file, those in the index count: until all else has been taken.
  const late = new Set([...gone, ...there].filter(isAttributes));
  const restless = await take((path) => !late.has(path));
  if (late.size > 0) restless.push(...(await take((path) => late.has(path))));
  const differences = parseTreeDiff(await git(reading, [...DIFF, base], { signal }));
  const pointers = await writePointers(work, root, large, { signal });
  await store.takeObjects(written);
  return {
    entries: new Map([
      ...differences.map(({ path, newMode, newId }) => [path, { mode: newMode, id: newId }] as const),
      ...pointers,
    ]),
    unreadable: [...unreadable],
    changedWhileRead: restless.map(({ path }) => path),
  };
}

/** Copies of old content: it says how line ends were. Of the attributes, too, which need not be in the work tree. */
class OldContent {
  /** An object directory. */
  readonly directory: string;
  readonly #place: GitPlace;
  readonly #copied = new Set<string>();

  constructor(index: PrivateIndex, store: RepositoryStore) {
    this.directory = join(index.directory, "old-objects");
    const alternates = [store.objectDirectory, ...store.borrowed];
    this.#place = { ...index.place, objectDirectory: this.directory, alternates };
  }

  /** Adds objects. Those that are none, as a submodule's commit, play no part. */
  async copy(ids: readonly string[], { signal }: { signal: AbortSignal }): Promise<void> {
    await mkdir(join(this.directory, "pack"), { recursive: true });
    const wanted = [...new Set(ids)].filter((id) => !this.#copied.has(id) && !/^0+$/.test(id));
    if (wanted.length === 0) return;
    const checked = await git(this.#place, ["cat-file", "--batch-check=%(objectname) %(objecttype)"], {
      signal,
      input: wanted.map((id) => `${id}\n`).join(""),
    });
    const blobs = checked.toString().match(/^[0-9a-f]+(?= blob$)/gm) ?? [];
    for (const id of blobs) this.#copied.add(id);
    const input = blobs.map((id) => `${id}\n`).join("");
    const pack = join(this.directory, "pack/pack");
    if (input !== "") await git(this.#place, ["pack-objects", "-q", "--window=0", pack], { signal, input });
  }
}

/** Takes files into an index. Returns those that git cannot take: each one holds up the others. */
export async function stageByHalves(
  place: GitPlace,
  paths: readonly RawPath[],
  options: GitOptions,
): Promise<readonly RawPath[]> {
  if (paths.length === 0) return [];
  if ((await tryGit(place, STAGE, { ...options, input: joinPaths(paths) })).code === 0) return [];
  if (paths.length === 1) return paths;
  const middle = Math.ceil(paths.length / 2);
  const first = await stageByHalves(place, paths.slice(0, middle), options);
  return [...first, ...(await stageByHalves(place, paths.slice(middle), options))];
}
