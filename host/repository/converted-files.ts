import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { AppError, joinPaths, pathIn, quotePath, type RawPath, splitPaths, utf8Of } from "../../proto/index.ts";
import { rawPathText } from "../present/path-text.ts";
import { nameSome } from "../name-some.ts";
import { attributesLast, findAttributes } from "./attribute-files.ts";
import { git, type GitPlace } from "./git.ts";
import { LFS_OFF } from "./large-files.ts";
import { listIndex, parseListing } from "./index-file.ts";
import type { JournalEntry } from "./journal.ts";
import { stageByHalves } from "./read-files.ts";
import type { Scratch } from "./scratch.ts";
import { directoryTree, isInside } from "./submodule-trees.ts";
import { ABSENT, parseTreeDiff, TREE_DIFF, type TreeChange } from "./tree-diff.ts";
import type { IndexNow, TreesNow } from "./tree-now.ts";
import { findRepository, type UserRepository, userPlace } from "./user-repository.ts";
import { readState } from "./file-states.ts";
import { copyAside, setMode } from "./work-files.ts";

/** Part of the changes: those in one of the user's repositories, which converts its files by its own settings. */
export interface RepositoryChanges {
  repository: UserRepository;
  /** Path of it from the outermost one's top, with a slash at the end. Empty: it is that one. */
  prefix: RawPath;
  index: IndexNow;
  /** Changes, with paths from this repository's top. */
  changes: TreeChange[];
}

/** Divides changes among the repository and the submodules in it. Each change is in the innermost one. */
export async function divideChanges(
  repository: UserRepository,
  changes: readonly TreeChange[],
  { submodules, indexes, signal }: Pick<TreesNow, "submodules" | "indexes"> & { signal: AbortSignal },
): Promise<RepositoryChanges[]> {
  const innermost = [...submodules].sort((a, b) => b.length - a.length);
  const groups = Map.groupBy(changes, ({ path }) => innermost.find((submodule) => isInside(submodule, path)));
  return await Promise.all(
    Array.from(groups, async ([submodule, inIt]) => {
      const index = indexes.get(submodule ?? "")!;
      if (submodule === undefined) return { repository, prefix: "", index, changes: inIt };
      const directory = join(repository.workTree, utf8Of(submodule));
      const relative = inIt.map((change) => ({ ...change, path: change.path.slice(submodule.length + 1) }));
      return {
        repository: await findRepository(directory, { signal }),
        prefix: `${submodule}/`,
        index,
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
  { repository, prefix, index, changes }: RepositoryChanges,
  { scratch, entry, treeId, largeFiles, signal }: StepOptions,
): Promise<RawPath[]> {
  const { workTree } = repository;
  const directory = await makePlace(entry.oldFiles, prefix);
  const there = changes.filter(({ oldMode }) => oldMode !== ABSENT).map(({ path }) => path);
  const absent: RawPath[] = [];
  let bytes = 0;
  for (const path of there) {
    const copied = await copyAside(workTree, path, directory);
    if (copied === undefined) absent.push(path);
    else bytes += copied;
  }
  const marks = absent.length > 0 ? await readMarks(repository, index, { signal }) : new Map<RawPath, string>();
  refuse(
    absent.filter((path) => /^s /i.test(marks.get(path) ?? "")),
    "outside of your sparse checkout",
    "Widen it (git sparse-checkout add), select other paths, or take the changes as a branch.",
  );
  entry.record.bytes = (entry.record.bytes ?? 0) + bytes;
  // As they were taken into the tree: through the user's line ends and filters, and by what is staged where no attributes lie.
  for (const { path, isFile } of findAttributes(workTree, there)) {
    if (!isFile) await mkdir(pathIn(directory, path), { recursive: true });
    else if (!there.includes(path)) await copyAside(workTree, path, directory);
  }
  const place = {
    ...ourWorkTree(repository, scratch, { directory, index: "old" }),
    config: largeFiles ? LFS_OFF : {},
  };
  await git(place, ["read-tree", index.treeId], { signal });
  const unreadable = await stageByHalves(place, attributesLast(there), { signal });
  refuse(unreadable, "nothing that your git can take in", "See what git add says of it.");
  const tree = await directoryTree(place, treeId, prefix, { signal });
  const differing = parseTreeDiff(await git(place, ["diff-index", "--cached", ...TREE_DIFF, tree], { signal }));
  const named = new Set(there);
  const changed = await changedSinceRead(
    repository,
    index,
    differing.filter(({ path }) => named.has(path)),
    { signal },
  );
  return changed.map((path) => prefix + path);
}

/**
 * Returns those of the changes, from a tree to files, that are the user's. A file that the index has as the tree does, and that
 * is as git last read it, is none, whatever attributes make of it by now.
 */
async function changedSinceRead(
  repository: UserRepository,
  index: IndexNow,
  changes: readonly TreeChange[],
  { signal }: { signal: AbortSignal },
): Promise<RawPath[]> {
  if (changes.length === 0) return [];
  const marks = await readMarks(repository, index, { signal });
  const overlooked = changes.filter(({ path }) => /^[a-zS] /.test(marks.get(path) ?? "")).map(({ path }) => path);
  refuse(
    overlooked,
    "changed, and your git is told to overlook that",
    "Let it see them: git update-index --no-assume-unchanged --no-skip-worktree.",
  );
  const place = { ...userPlace(repository), indexFile: index.file };
  const dirty = parseTreeDiff(await git(place, ["diff-files", ...TREE_DIFF, "--ignore-submodules"], { signal }));
  const touched = new Set(dirty.map(({ path }) => path));
  const isRead = ({ path, oldMode, oldId }: TreeChange) => marks.get(path) === `H ${oldMode} ${oldId} 0`;
  return changes.filter((change) => touched.has(change.path) || !isRead(change)).map(({ path }) => path);
}

/** Reads what an index says of each file: see parseListing. */
async function readMarks(
  repository: UserRepository,
  { file }: IndexNow,
  { signal }: { signal: AbortSignal },
): Promise<Map<RawPath, string>> {
  if (file === undefined) return new Map();
  return parseListing(await listIndex({ ...userPlace(repository), indexFile: file }, { signal }));
}

/** Throws APPLY_BLOCKED if there are such paths. `what` follows "is" or "are". */
function refuse(paths: readonly RawPath[], what: string, help: string): void {
  if (paths.length === 0) return;
  const names = paths.map(rawPathText);
  const are = names.length === 1 ? `${names[0]} is` : `${nameSome(names)} are`;
  throw new AppError("APPLY_BLOCKED", `${are} ${what}. Nothing was written.`, { help });
}

/** Writes the files as the user's git would. */
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
  await git(place, ["read-tree", await directoryTree(place, treeId, prefix, { signal })], { signal });
  const written = changes.filter(({ newMode }) => newMode !== ABSENT).map(({ path }) => path);
  for (const path of await unknownAttributes(repository, place, changes, { signal })) {
    await copyAside(repository.workTree, path, directory);
  }
  await git(place, ["checkout-index", "-q", "-f", "-z", "--stdin"], { signal, input: joinPaths(written) });
}

/** Records what is to become of each file, by the copies of the old ones and what was made of the new ones. */
export async function recordChanges({ prefix, changes }: RepositoryChanges, entry: JournalEntry): Promise<void> {
  for (const { path: inIt, oldMode, newMode } of changes) {
    const path = prefix + inIt;
    const from = oldMode === ABSENT ? ({ kind: "absent" } as const) : await readState(entry.oldFiles, path);
    if (from.kind === "file" && oldMode === newMode) setMode(entry.newFiles, path, from.mode);
    const to = newMode === ABSENT ? ({ kind: "absent" } as const) : await readState(entry.newFiles, path);
    if (newMode !== ABSENT && to.kind === "absent") throw new Error(`git did not write ${quotePath(path)}`);
    entry.record.files.push({ path, from, to });
  }
}

/** Returns the files of attributes for some changes that lie in the user's work tree alone, as ignored ones do. */
async function unknownAttributes(
  { workTree }: UserRepository,
  place: GitPlace,
  changes: readonly TreeChange[],
  { signal }: { signal: AbortSignal },
): Promise<RawPath[]> {
  const paths = changes.map(({ path }) => path);
  const lying = findAttributes(workTree, paths)
    .filter(({ path, isFile }) => isFile && !paths.includes(path))
    .map(({ path }) => path);
  if (lying.length === 0) return [];
  const known = splitPaths(await git(place, ["ls-files", "-z", "--", ":(glob)**/.gitattributes"], { signal }));
  return lying.filter((path) => !known.includes(path));
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
