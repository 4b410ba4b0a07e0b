import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { AppError, joinPaths, quotePath, type RawPath, splitPaths, utf8Of } from "../../proto/index.ts";
import { rawPathText } from "../present/path-text.ts";
import { nameSome } from "../name-some.ts";
import { git, type GitPlace } from "./git.ts";
import { LFS_OFF } from "./large-files.ts";
import type { JournalEntry } from "./journal.ts";
import type { Scratch } from "./scratch.ts";
import { isInside } from "./submodule-trees.ts";
import { ABSENT, parseTreeDiff, TREE_DIFF, type TreeChange } from "./tree-diff.ts";
import { findRepository, type UserRepository, userPlace } from "./user-repository.ts";
import { readState } from "./file-states.ts";
import { copyAside, setMode } from "./work-files.ts";

/** Part of the changes: those in one of the user's repositories, which converts its files by its own settings. */
export interface RepositoryChanges {
  repository: UserRepository;
  /** Path of it from the outermost one's top, with a slash at the end. Empty: it is that one. */
  prefix: RawPath;
  /** Changes, with paths from this repository's top. */
  changes: TreeChange[];
}

/** Divides changes among the repository and the submodules in it. Each change is in the innermost one. */
export async function divideChanges(
  repository: UserRepository,
  changes: readonly TreeChange[],
  { submodules, signal }: { submodules: readonly RawPath[]; signal: AbortSignal },
): Promise<RepositoryChanges[]> {
  const innermost = [...submodules].sort((a, b) => b.length - a.length);
  const groups = Map.groupBy(changes, ({ path }) => innermost.find((submodule) => isInside(submodule, path)));
  return await Promise.all(
    Array.from(groups, async ([submodule, inIt]) => {
      if (submodule === undefined) return { repository, prefix: "", changes: inIt };
      const directory = join(repository.workTree, utf8Of(submodule));
      const relative = inIt.map((change) => ({ ...change, path: change.path.slice(submodule.length + 1) }));
      return {
        repository: await findRepository(directory, { signal }),
        prefix: `${submodule}/`,
        changes: relative,
      };
    }),
  );
}

/** Options of a step: the tree of the outermost repository, and what becomes of it. */
interface StepOptions {
  scratch: Scratch;
  entry: JournalEntry;
  treeId: string;
  /** True: the tree has the content of files of Git LFS, not pointers. */
  largeFiles: boolean;
  signal: AbortSignal;
}

/**
 * Copies the files that are to be replaced, and returns those whose copies are not what the tree has: somebody has changed
 * them meanwhile. Throws APPLY_BLOCKED.
 */
export async function copyOld(
  { repository, prefix, changes }: RepositoryChanges,
  { scratch, entry, treeId, largeFiles, signal }: StepOptions,
): Promise<RawPath[]> {
  const directory = await makePlace(entry.oldFiles, prefix);
  const there = changes.filter(({ oldMode }) => oldMode !== ABSENT).map(({ path }) => path);
  const absent: RawPath[] = [];
  let bytes = 0;
  for (const path of there) {
    const copied = await copyAside(repository.workTree, path, directory);
    if (copied === undefined) absent.push(path);
    else bytes += copied;
  }
  await refuseSparse(repository, absent, { signal });
  entry.record.bytes = (entry.record.bytes ?? 0) + bytes;
  // Through the user's line ends and filters, as they were taken into the tree.
  const place = {
    ...ourWorkTree(repository, scratch, { directory, index: "old" }),
    config: largeFiles ? LFS_OFF : {},
  };
  const tree = treeAt(treeId, prefix);
  await git(place, ["read-tree", tree], { signal });
  const update = ["update-index", "-z", "--add", "--remove", "--stdin"];
  await git(place, update, { signal, input: joinPaths(there) });
  const differ = parseTreeDiff(await git(place, ["diff-index", "--cached", ...TREE_DIFF, tree], { signal }));
  return differ.map(({ path }) => prefix + path);
}

/** Throws APPLY_BLOCKED if one of the files is not there since the user's sparse checkout leaves it out. */
async function refuseSparse(
  repository: UserRepository,
  absent: readonly RawPath[],
  { signal }: { signal: AbortSignal },
): Promise<void> {
  if (absent.length === 0) return;
  const listed = splitPaths(await git(userPlace(repository), ["ls-files", "-v", "-z"], { signal }));
  const sparse = new Set(listed.filter((line) => /^s /i.test(line)).map((line) => line.slice(2)));
  const left = absent.filter((path) => sparse.has(path)).map(rawPathText);
  if (left.length === 0) return;
  const what = left.length === 1 ? `${left[0]} is` : `${nameSome(left)} are`;
  throw new AppError("APPLY_BLOCKED", `${what} outside of your sparse checkout. Nothing was written.`, {
    help: "Widen it (git sparse-checkout add), select other paths, or take the changes as a branch.",
  });
}

/** Writes the files as the user's git would, and records what is to become of each. */
export async function makeNew(
  { repository, prefix, changes }: RepositoryChanges,
  { scratch, entry, treeId, largeFiles, signal }: StepOptions,
): Promise<void> {
  const directory = await makePlace(entry.newFiles, prefix);
  const place: GitPlace = {
    ...ourWorkTree(repository, scratch, { directory, index: "new" }),
    // What is out of the user's sparse checkout is written all the same, where it is to be looked at.
    config: { "core.sparseCheckout": "false", ...(largeFiles ? LFS_OFF : {}) },
  };
  await git(place, ["read-tree", treeAt(treeId, prefix)], { signal });
  const written = changes.filter(({ newMode }) => newMode !== ABSENT);
  await git(place, ["checkout-index", "-q", "-f", "-z", "--stdin"], {
    signal,
    input: joinPaths(written.map(({ path }) => path)),
  });
  for (const { path: inIt, oldMode, newMode } of changes) {
    const path = prefix + inIt;
    const from = oldMode === ABSENT ? ({ kind: "absent" } as const) : await readState(entry.oldFiles, path);
    if (from.kind === "file" && oldMode === newMode) setMode(entry.newFiles, path, from.mode);
    const to = newMode === ABSENT ? ({ kind: "absent" } as const) : await readState(entry.newFiles, path);
    if (newMode !== ABSENT && to.kind === "absent") throw new Error(`git did not write ${quotePath(path)}`);
    entry.record.files.push({ path, from, to });
  }
}

/** Where the user's git takes a directory of ours for its work tree, with an index and objects of the scratch repository. */
function ourWorkTree(
  repository: UserRepository,
  scratch: Scratch,
  { directory, index }: { directory: string; index: string },
): GitPlace {
  return {
    ...userPlace(repository),
    cwd: directory,
    workTree: directory,
    objectDirectory: scratch.objectDirectory,
    indexFile: join(scratch.directory, `${index}.index`),
  };
}

async function makePlace(directory: string, prefix: RawPath): Promise<string> {
  const path = join(directory, utf8Of(prefix));
  await mkdir(path, { recursive: true });
  return path;
}

/** The revision of a directory in a tree. */
function treeAt(treeId: string, prefix: RawPath): string {
  return prefix === "" ? treeId : `${treeId}:${utf8Of(prefix)}`;
}
