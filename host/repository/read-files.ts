import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { joinPaths, type RawPath, splitPaths } from "../../proto/index.ts";
import { git, type GitOptions, type GitPlace, tryGit } from "./git.ts";
import type { PrivateIndex } from "./private-index.ts";
import type { RepositoryStore } from "./repository-store.ts";
import type { TreeEntry } from "./synthetic-commits.ts";
import type { ChangedFile } from "./work-tree-status.ts";

/** How often files are read once more that changed while they were read. */
const MORE_READINGS = 2;

const STAGE = ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"];
const FORGET = ["update-index", "-z", "--force-remove", "--stdin"];
const LIST_ATTRIBUTES = ["ls-files", "-s", "-z", "--", ":(glob)**/.gitattributes"];
const LIST_DIRTY = ["diff-files", "-z", "--raw", "--no-abbrev", "--no-renames", "--ignore-submodules=all"];
const DIFF = ["diff-index", "--cached", "-z", "--raw", "--no-abbrev", "--no-renames"];

export interface FilesToRead {
  /** Tracked files, and submodules, that are there. */
  changed: readonly ChangedFile[];
  /** Tracked files that are not there. */
  gone: readonly RawPath[];
  untracked: readonly RawPath[];
  /** What to compare with: a commit, or the empty tree. */
  base: string;
  signal: AbortSignal;
}

export interface ReadFiles {
  /** What differs from the base when the work tree's files are taken as they are. */
  entries: Map<RawPath, TreeEntry>;
  /** git could not take them. */
  unreadable: RawPath[];
  /** They did not hold still. */
  changedWhileRead: RawPath[];
}

/**
 * Puts the files' content into the store, each as the user's git would write it. Nothing of the user's is touched: git asks
 * for what it is about to write in every place that it reads from, and renews the time of what it finds there. So it writes
 * where it sees nothing of the user's but copies of the few objects that it has to look at.
 */
export async function readFiles(index: PrivateIndex, store: RepositoryStore, files: FilesToRead): Promise<ReadFiles> {
  const { base, signal } = files;
  const work = await index.copy("work", [await copyOldContent(index, store, files)]);
  const unreadable = new Set<RawPath>();
  const stage = async (paths: readonly RawPath[]): Promise<void> => {
    for (const path of await stageByHalves(work, paths, { signal })) unreadable.add(path);
  };
  if (files.gone.length > 0) await git(work, FORGET, { signal, input: joinPaths(files.gone) });
  await stage([...files.changed.map(({ path }) => path), ...files.untracked]);
  const reading: GitPlace = { ...work, alternates: store.borrowed };
  const listRestless = async (): Promise<RawPath[]> =>
    parseRaw(await git(reading, LIST_DIRTY, { signal })).flatMap(([path]) => (unreadable.has(path) ? [] : [path]));
  let changedWhileRead = await listRestless();
  for (let reading = 0; reading < MORE_READINGS && changedWhileRead.length > 0; reading++) {
    await stage(changedWhileRead);
    changedWhileRead = await listRestless();
  }
  const entries = new Map(parseRaw(await git(reading, [...DIFF, base], { signal })));
  return { entries, unreadable: [...unreadable], changedWhileRead };
}

/** Copies the old content of files, which says how line ends were, and the attributes; returns the object directory. */
async function copyOldContent(
  index: PrivateIndex,
  store: RepositoryStore,
  { changed, signal }: FilesToRead,
): Promise<string> {
  const directory = join(index.directory, "old-objects");
  await mkdir(join(directory, "pack"), { recursive: true });
  const attributes = splitPaths(await git(index.place, LIST_ATTRIBUTES, { signal }));
  const ids = new Set(attributes.map((line) => line.split(" ")[1] ?? ""));
  for (const { indexMode, indexId } of changed) if (indexMode.startsWith("100")) ids.add(indexId);
  if (ids.size === 0) return directory;
  const alternates = [store.objectDirectory, ...store.borrowed];
  const place = { ...index.place, objectDirectory: directory, alternates };
  const input = [...ids].map((id) => `${id}\n`).join("");
  await git(place, ["pack-objects", "-q", "--window=0", join(directory, "pack/pack")], { signal, input });
  return directory;
}

/** Takes files into an index. Returns those that git cannot take: each one holds up the others. */
async function stageByHalves(
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

/** Reads the output of `--raw -z --no-renames`: each path with what it is now. */
function parseRaw(output: Buffer): [RawPath, TreeEntry][] {
  const fields = splitPaths(output);
  const entries: [RawPath, TreeEntry][] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [, mode = "", , id = ""] = fields[at]!.split(" ");
    entries.push([fields[at + 1]!, { mode, id }]);
  }
  return entries;
}
