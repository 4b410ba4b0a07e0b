import { asAppError, asArguments, type RawPath, splitPaths, utf8Of } from "../../proto/index.ts";
import { git, gitLine, type GitOptions, type GitPlace, tryGit } from "./git.ts";
import { type LocatedRepository, locateRepository } from "./locate.ts";
import type { SnapshotReceipt } from "./receipt.ts";
import type { TreeEntry } from "./synthetic-commits.ts";
import { DIRECTORY, GITLINK } from "./tree-diff.ts";
import type { WorkTreeStatus } from "./work-tree-status.ts";

const REGISTERED = ["config", "-z", "--no-includes", "-f", ".gitmodules", "--get-regexp", "^submodule\\..*\\.path$"];

/** Submodule that went into a snapshot with its files. */
export interface SubmoduleSnapshot {
  /** Path of it, from the top of the snapshot. */
  path: string;
  /** Commit that is checked out. */
  head: string;
  /** Full name of the branch. Undefined: HEAD is detached. */
  branch: string | undefined;
  /** Commit of what is staged. */
  index: string;
  /** Copy of the index: see Snapshot. */
  indexFile: string | undefined;
  /** Files that the index holds without content. */
  intentToAdd: RawPath[];
  /** Files of Git LFS with their content. */
  large: RawPath[];
}

/** What a snapshot of a submodule's own says of it. */
interface Taken extends Omit<SubmoduleSnapshot, "path" | "head"> {
  head: string | undefined;
  untracked: string;
  objectDirectories: string[];
  submodules: SubmoduleSnapshot[];
  receipt: SnapshotReceipt;
}

/** Submodules whose files go into a snapshot, and those in them. */
export interface TakenSubmodules {
  /** What is in a submodule comes after it. */
  submodules: SubmoduleSnapshot[];
  /** Directory of files for each, to be put in the place of its commit. */
  entries: Map<RawPath, TreeEntry>;
  /** Commits by which the snapshot reaches what the submodules are made of. */
  commits: string[];
  objectDirectories: string[];
  receipts: { path: string; receipt: SnapshotReceipt }[];
  /** Those that stay a commit: not initialised, of another kind of objects, or such that no snapshot can be taken of them. */
  leftOut: RawPath[];
}

/** Takes a snapshot of each submodule that is initialised, by `take`, which may also leave one out. */
export async function takeSubmodules(
  { root, objectFormat }: LocatedRepository,
  paths: Iterable<RawPath>,
  { take, signal }: { take: (located: LocatedRepository) => Promise<Taken | undefined>; signal: AbortSignal },
): Promise<TakenSubmodules> {
  const found: TakenSubmodules = {
    submodules: [],
    entries: new Map(),
    commits: [],
    objectDirectories: [],
    receipts: [],
    leftOut: [],
  };
  for (const raw of paths) {
    const path = utf8Of(raw);
    const taken = await takeOne(`${root}/${path}`);
    if (taken?.head === undefined) {
      found.leftOut.push(raw);
      continue;
    }
    const { head, branch, index, indexFile, intentToAdd, large, untracked, objectDirectories, submodules, receipt } =
      taken;
    const place: GitPlace = { settings: "none", gitDirectory: objectDirectories[0]!.replace(/\/objects$/, "") };
    const id = await gitLine({ ...place, alternates: objectDirectories }, ["rev-parse", `${untracked}^{tree}`], {
      signal,
    });
    found.entries.set(raw, { mode: DIRECTORY, id });
    found.commits.push(untracked);
    found.objectDirectories.push(...objectDirectories);
    found.receipts.push({ path, receipt });
    found.submodules.push({ path, head, branch, index, indexFile, intentToAdd, large });
    for (const inner of submodules) found.submodules.push({ ...inner, path: `${path}/${inner.path}` });
  }
  return found;

  async function takeOne(path: string): Promise<Taken | undefined> {
    try {
      const located = await locateRepository(path, { signal });
      // Otherwise it is the outer repository's directory, or lies behind a link.
      if (located.kind !== "repository" || located.root !== path) return undefined;
      return located.objectFormat === objectFormat ? await take(located) : undefined;
    } catch (error) {
      signal.throwIfAborted();
      if (!asAppError(error).reason.startsWith("REPOSITORY_")) throw error;
      return undefined;
    }
  }
}

/** Returns the paths of submodules: those that .gitmodules names, and those that it does not name but have changed. */
export async function listSubmodules(
  place: GitPlace,
  { changed }: WorkTreeStatus,
  options: GitOptions,
): Promise<Set<RawPath>> {
  const found = new Set(changed.filter(({ indexMode }) => indexMode === GITLINK).map(({ path }) => path));
  const registered = splitPaths((await tryGit(place, REGISTERED, options)).stdout);
  if (registered.length === 0) return found;
  const paths = registered.map((line) => line.slice(line.indexOf("\n") + 1));
  const args = ["--literal-pathspecs", "ls-files", "-s", "-z", ...asArguments(paths)];
  const listed = splitPaths(await git(place, args, options));
  for (const line of listed) if (line.startsWith(GITLINK)) found.add(line.slice(line.indexOf("\t") + 1));
  return found;
}
