import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { AppError, gitFailed, quotePath, type RawPath } from "../../proto/index.ts";
import { rawPathText } from "../present/path-text.ts";
import { chooseFiles, UNTRACKED_LIMITS, type UntrackedLimits } from "./choose-files.ts";
import { findIncluded } from "./included-files.ts";
import { findLargeFiles, type LargeFiles, listTrackedLargeFiles, writeContents } from "./large-files.ts";
import { type GitOptions, type GitPlace, tryGit } from "./git.ts";
import { type LocatedRepository, locateRepository, type ObjectFormat } from "./locate.ts";
import { PrivateIndex } from "./private-index.ts";
import { readFiles } from "./read-files.ts";
import { LeftOutList, mergeReceipts, type SnapshotReceipt } from "./receipt.ts";
import { RepositoryStore } from "./repository-store.ts";
import { makeCommits, type SyntheticCommit, type TreeEntry } from "./synthetic-commits.ts";
import { isInside } from "./submodule-trees.ts";
import { listSubmodules, type SubmoduleSnapshot, type TakenSubmodules, takeSubmodules } from "./submodules.ts";
import { measure } from "./measure.ts";
import { ABSENT } from "./tree-diff.ts";
import { type ChangedFile, readWorkTreeStatus, type WorkTreeStatus } from "./work-tree-status.ts";

/** How often everything is begun anew because another commit was checked out meanwhile. */
const ATTEMPTS = 3;

/** Options of a snapshot. */
export interface SnapshotOptions {
  /** Path of any directory of the work tree. */
  path: string;
  /** Repository that `path` lies in, where the caller has located it. Default: it is located. */
  located?: LocatedRepository;
  /** Paths, from `path` on, of files that go in although they are ignored or look secret. A directory goes in whole. */
  include?: readonly string[];
  /** True: ignored files that match .worktreeinclude at the top go in, too. Default: false. */
  worktreeInclude?: boolean;
  /** Submodules that go in with their files, by their paths. Default: all that are initialised. */
  submodules?: ReadonlySet<string> | undefined;
  /** False: files of Git LFS go in as pointers. Default: with their content, where it is here and within the limits. */
  largeFiles?: boolean;
  /** Limits for untracked files. Default: `UNTRACKED_LIMITS`. */
  limits?: Partial<UntrackedLimits>;
  /** Directory of our `RepositoryStore` for this repository. It is made if it is not there. */
  storeDirectory: string;
  signal: AbortSignal;
}

/**
 * Snapshot of a work tree as it lay on disk: HEAD, and a commit each for the staged, the tracked and the untracked files.
 * The objects stay where they are; no ref keeps them.
 */
export interface Snapshot {
  /** "directory": a plain one, in no repository. It has neither head nor branch. */
  kind: LocatedRepository["kind"];
  /** Top of the user's work tree. */
  root: string;
  /** Directory that was named, from the root. Empty: the root. */
  subdirectory: string;
  objectFormat: ObjectFormat;
  /** Commit that is checked out. Undefined: there is none yet. */
  head: string | undefined;
  /** Full name of the branch. Undefined: HEAD is detached. */
  branch: string | undefined;
  /** Commit of what is staged. Its parent is HEAD. */
  index: string;
  /** Commit of the tracked files as they lie in the work tree. Its parent is `index`. */
  tracked: string;
  /**
   * Commit of the whole work tree, with the untracked files. Its parent is `tracked`. In the place of a submodule that went
   * in it has the submodule's files, and this submodule's own commit of them is a further parent.
   */
  untracked: string;
  /** Files of Git LFS whose content `untracked` has. The other commits have pointers. */
  large: RawPath[];
  /** Submodules that went in with their files, those in submodules too. */
  submodules: SubmoduleSnapshot[];
  /** Copy of the index, whole and refreshed, in the store until its next snapshot. Undefined: there is none. */
  indexFile: string | undefined;
  /** Files of the tracked commit that the index holds without content, as `git add --intent-to-add` makes them. */
  intentToAdd: RawPath[];
  /** Directories of the objects: the store's, and the user's. Both are needed. */
  objectDirectories: string[];
  receipt: SnapshotReceipt;
}

/**
 * Takes a snapshot of a work tree. The user's repository is only read: nothing in it changes, not even a time. The same
 * state gives the same ids. The user's clean filters run, as they do in their own `git status`; hooks do not.
 *
 * Throws what `locateRepository` throws, REPOSITORY_UNMERGED while files are in conflict, REPOSITORY_BUSY if commits are
 * checked out or the index is written all the time, REPOSITORY_INVALID if HEAD cannot be read, INCLUDE_NOT_FOUND,
 * GIT_FAILED.
 */
export async function takeSnapshot(options: SnapshotOptions): Promise<Snapshot> {
  const { signal } = options;
  const located = options.located ?? (await locateRepository(options.path, { signal }));
  const store = await RepositoryStore.open(options.storeDirectory, { located, signal });
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const head = await readHead(located, { signal });
    const snapshot = await takeOnce(located, store, head, options);
    const after = await readHead(located, { signal });
    if (after.id === head.id && after.branch === head.branch) return snapshot;
  }
  throw new AppError("REPOSITORY_BUSY", `Other commits are checked out in ${located.root} all the time.`, {
    help: "Try again when whatever works there is done.",
    metadata: { path: located.root },
    retryable: true,
  });
}

interface Head {
  id: string | undefined;
  branch: string | undefined;
}

async function takeOnce(
  located: LocatedRepository,
  store: RepositoryStore,
  head: Head,
  options: SnapshotOptions,
): Promise<Snapshot> {
  const { worktreeInclude = false, limits, signal } = options;
  const include = (options.include ?? []).map((name) => resolve(located.root, located.subdirectory, name));
  const { root, objectFormat } = located;
  await using index = await PrivateIndex.create(located, store, {
    head: head.id ?? head.branch ?? NO_COMMIT,
    signal,
  });
  const status = await readWorkTreeStatus(index.place, { signal });
  if (status.headId !== head.id) throw unreadableHead(root);
  if (status.unmerged.length > 0) throw unmerged(root, status.unmerged);
  const leftOut = new LeftOutList();
  for (const path of status.closed) leftOut.add("unreadable", path);
  const submodules = await takeAllSubmodules(located, index.place, status, { ...options, include });
  for (const path of submodules.leftOut) leftOut.add("submodule", path);
  const names = include.filter((name) => !submodules.submodules.some(({ path }) => isInside(`${root}/${path}`, name)));
  const included = await findIncluded(index.place, located, { names, worktreeInclude, signal });
  const measuring = measure(
    root,
    status.ignored.filter((path) => !included.named.has(path) && !included.matched.has(path)),
  );
  const chosen = await chooseFiles(root, status, { included, limits: { ...UNTRACKED_LIMITS, ...limits }, leftOut });
  const base = head.id ?? EMPTY_TREES[objectFormat];
  const toRead = [...chosen.changed.map(({ path }) => path), ...chosen.untracked];
  const large = await findLargeFiles(index.place, toRead, { signal });
  const read = await readFiles(index, store, { ...chosen, large, root, base, signal });
  for (const { path, bytes } of await measuring) leftOut.add("ignored", path, bytes);
  const allLarge = new Set([...large, ...(await listTrackedLargeFiles(index.place, located, { signal }))]);
  const largeFiles = await readLargeFiles(index, store, root, allLarge, options);
  for (const { path, bytes } of largeFiles.pointers) leftOut.add("lfs", path, bytes);
  for (const path of read.unreadable) leftOut.add("unreadable", path);
  const untracked = new Set(chosen.untracked.filter((path) => !read.unreadable.includes(path)));
  const [indexCommit = "", trackedCommit = "", untrackedCommit = ""] = await makeCommits(
    { ...store.place, alternates: [...store.borrowed, ...submodules.objectDirectories] },
    {
      parent: head.id,
      commits: toCommits(status, read.entries, { untracked, contents: largeFiles.contents, submodules }),
      objectFormat,
      signal,
    },
  );
  const indexFile = await index.keep();
  return {
    kind: located.kind,
    root,
    subdirectory: located.subdirectory,
    objectFormat,
    head: head.id,
    branch: head.branch,
    index: indexCommit,
    tracked: trackedCommit,
    untracked: untrackedCommit,
    indexFile,
    intentToAdd: status.changed.filter((file) => isIntentToAdd(file, read.entries)).map(({ path }) => path),
    large: [...largeFiles.contents.keys()],
    submodules: submodules.submodules,
    objectDirectories: [store.objectDirectory, ...store.borrowed, ...submodules.objectDirectories],
    receipt: mergeReceipts(
      {
        commit: head.id,
        branch: head.branch,
        staged: status.changed.filter(({ staged }) => staged).length,
        changed: status.changed.filter((file) => differs(file, read.entries)).length,
        untracked: untracked.size,
        bytes: chosen.bytes + largeFiles.bytes,
        large: largeFiles.contents.size,
        leftOut: leftOut.finish(),
        included: [...included.named, ...chosen.untracked.filter((path) => included.matched.has(path))].map(quotePath),
        changedWhileRead: read.changedWhileRead.map(quotePath),
        submodules: [],
      },
      submodules.receipts,
    ),
  };
}

/** Takes the submodules that are to go in, each with a store of its own inside of this one. */
async function takeAllSubmodules(
  located: LocatedRepository,
  place: GitPlace,
  status: WorkTreeStatus,
  options: SnapshotOptions & { include: readonly string[] },
): Promise<TakenSubmodules> {
  const { submodules: wanted, include, storeDirectory, signal } = options;
  const take = async (submodule: LocatedRepository): Promise<Snapshot | undefined> => {
    const { root } = submodule;
    const path = relative(located.root, root);
    if (wanted?.has(path) === false) return undefined;
    const inner = [...(wanted ?? [])].filter((other) => other.startsWith(`${path}/`));
    return await takeSnapshot({
      ...options,
      path: root,
      located: submodule,
      include: include.filter((name) => isInside(root, name)),
      submodules: wanted && new Set(inner.map((other) => other.slice(path.length + 1))),
      storeDirectory: join(storeDirectory, "submodules", createHash("sha256").update(root).digest("hex").slice(0, 32)),
    });
  };
  return await takeSubmodules(located, await listSubmodules(place, status, { signal }), { take, signal });
}

/** Reads the content of files of Git LFS into the store, without a look at the user's objects: see readFiles. */
async function readLargeFiles(
  index: PrivateIndex,
  store: RepositoryStore,
  root: string,
  paths: ReadonlySet<RawPath>,
  { largeFiles = true, limits, signal }: SnapshotOptions,
): Promise<LargeFiles> {
  if (!largeFiles) {
    return { contents: new Map(), bytes: 0, pointers: await measure(root, [...paths]) };
  }
  const objectDirectory = join(index.directory, "large-objects");
  await mkdir(objectDirectory);
  const writing = { ...index.place, objectDirectory, alternates: [] };
  const large = await writeContents(writing, root, paths, { limits: { ...UNTRACKED_LIMITS, ...limits }, signal });
  await store.takeObjects(objectDirectory);
  return large;
}

/** What HEAD of a plain directory says. */
const NO_COMMIT = "refs/claudecluster/none";
/** git knows these without having them. */
const EMPTY_TREES: Record<ObjectFormat, string> = {
  sha1: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
  sha256: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
};

/** Says what each of the three commits has that its parent does not have; what it has already does no harm. */
function toCommits(
  status: WorkTreeStatus,
  workTree: ReadonlyMap<RawPath, TreeEntry>,
  {
    untracked,
    contents,
    submodules,
  }: { untracked: ReadonlySet<RawPath>; contents: ReadonlyMap<RawPath, TreeEntry>; submodules: TakenSubmodules },
): SyntheticCommit[] {
  const index = new Map<RawPath, TreeEntry>();
  const tracked = new Map<RawPath, TreeEntry>();
  const others = new Map<RawPath, TreeEntry>();
  for (const { path, headMode, headId, indexMode, indexId, staged } of status.changed) {
    if (!staged) continue;
    index.set(path, { mode: indexMode, id: indexId });
    // As HEAD has it, where nothing below says otherwise.
    (untracked.has(path) ? others : tracked).set(path, { mode: headMode, id: headId });
  }
  for (const [path, entry] of workTree) (untracked.has(path) ? others : tracked).set(path, entry);
  return [
    { message: "What is staged", entries: index },
    { message: "Tracked files as they lie in the work tree", entries: tracked },
    {
      message: "Files that are not tracked",
      entries: new Map([...others, ...contents, ...submodules.entries]),
      mergedIds: submodules.commits,
    },
  ];
}

/**
 * Whether a file's content or mode differs between index and work tree. git's status also takes one for changed whose line
 * ends alone are others, and compares one of Git LFS with its pointer.
 */
function differs(
  { path, changed, headMode, headId, indexMode, indexId }: ChangedFile,
  workTree: ReadonlyMap<RawPath, TreeEntry>,
): boolean {
  const { mode, id } = workTree.get(path) ?? { mode: headMode, id: headId };
  return changed && (mode !== indexMode || id !== indexId);
}

/** Whether the index holds nothing of a file but its name, and the file is there. */
function isIntentToAdd(
  { path, changed, indexMode, headMode }: ChangedFile,
  workTree: ReadonlyMap<RawPath, TreeEntry>,
): boolean {
  return changed && indexMode === ABSENT && (workTree.get(path)?.mode ?? headMode) !== ABSENT;
}

async function readHead({ git, root }: LocatedRepository, options: GitOptions): Promise<Head> {
  if (git === undefined) return { id: undefined, branch: undefined };
  const place: GitPlace = { settings: "user", gitDirectory: git.directory, workTree: root };
  const ask = async (...args: string[]): Promise<string | undefined> => {
    const result = await tryGit(place, args, options);
    if (result.code !== 0 && result.code !== 1) throw gitFailed(args, result);
    return result.code === 0 ? result.stdout.toString().replace(/\n$/, "") : undefined;
  };
  const [branch, id] = await Promise.all([
    ask("symbolic-ref", "-q", "HEAD"),
    ask("rev-parse", "-q", "--verify", "HEAD"),
  ]);
  return { id, branch };
}

function unreadableHead(root: string): AppError {
  return new AppError("REPOSITORY_INVALID", `What HEAD of ${root} says cannot be read.`, {
    help: "Refs in another format than files are not supported yet.",
    metadata: { path: root },
  });
}

function unmerged(root: string, paths: readonly RawPath[]): AppError {
  const first = rawPathText(paths[0]!);
  const what = paths.length === 1 ? first : `${first} and ${paths.length - 1} more`;
  return new AppError("REPOSITORY_UNMERGED", `Files in ${root} are in conflict: ${what}.`, {
    help: "Finish the merge, or give it up, and try again: what is in conflict has no one content that could be worked on.",
    metadata: { path: root, files: String(paths.length) },
  });
}
