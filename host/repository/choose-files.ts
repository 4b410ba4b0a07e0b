import { constants } from "node:fs";
import { access, lstat } from "node:fs/promises";
import { pathIn, type RawPath } from "../../proto/index.ts";
import type { IncludedFiles } from "./included-files.ts";
import type { LeftOutList } from "./receipt.ts";
import { looksSecret } from "./secret-names.ts";
import { ABSENT, GITLINK } from "./tree-diff.ts";
import type { ChangedFile, WorkTreeStatus } from "./work-tree-status.ts";

/** Limits for the untracked files of a snapshot. Files that somebody has named do not count. */
export interface UntrackedLimits {
  /** Most bytes of one file. Default: 100 MiB, above which no forge takes it either. */
  fileBytes: number;
  /** Most bytes of all together. Default: 1 GiB. The largest are left out first. */
  totalBytes: number;
  /** Most files. Default: 100,000. */
  files: number;
}

/** Default limits for untracked files. */
export const UNTRACKED_LIMITS: UntrackedLimits = {
  fileBytes: 100 * 1024 * 1024,
  totalBytes: 1024 * 1024 * 1024,
  files: 100_000,
};
/** How many files are looked at at once. */
const AT_ONCE = 64;

/** Files of a work tree that a snapshot reads. */
export interface ChosenFiles {
  /** Tracked files, and submodules, that have changed and are there. */
  changed: ChangedFile[];
  /** Tracked files that are gone, or have something else in their place. */
  gone: RawPath[];
  /** Untracked files that go in, the named ones among them. */
  untracked: RawPath[];
  /** Size of all files to be read. */
  bytes: number;
}

/**
 * Chooses the files that a snapshot reads, by what lies at their paths now, and adds the others to `leftOut`. A file of
 * `included.named` goes in whatever its name and size. Links are not followed.
 */
export async function chooseFiles(
  root: string,
  status: WorkTreeStatus,
  {
    included: { named, matched },
    limits,
    leftOut,
  }: { included: IncludedFiles; limits: UntrackedLimits; leftOut: LeftOutList },
): Promise<ChosenFiles> {
  const chosen: ChosenFiles = { changed: [], gone: [], untracked: [], bytes: 0 };
  const changed = status.changed.filter((file) => file.changed);
  for await (const [file, fact] of lookAt(root, changed, ({ path }) => path)) {
    const { path, workTreeMode, indexMode } = file;
    if (workTreeMode === ABSENT || fact.type === "none") chosen.gone.push(path);
    else if (workTreeMode === GITLINK && indexMode === GITLINK) chosen.changed.push(file);
    else if (workTreeMode === GITLINK) {
      leftOut.add("nestedRepository", path);
      chosen.gone.push(path);
    } else if (fact.type === "special") {
      leftOut.add("special", path);
      chosen.gone.push(path);
    } else if (fact.type === "directory") chosen.gone.push(path);
    else if (fact.type === "unreadable") leftOut.add("unreadable", path);
    else {
      chosen.changed.push(file);
      chosen.bytes += fact.bytes;
    }
  }
  const fitting: { path: RawPath; bytes: number }[] = [];
  const untracked = [...new Set([...status.untracked, ...named, ...matched])];
  for await (const [path, fact] of lookAt(root, untracked, (path) => path)) {
    if (path.endsWith("/")) leftOut.add("nestedRepository", path);
    else if (fact.type === "unreadable") leftOut.add("unreadable", path);
    else if (fact.type === "special") leftOut.add("special", path);
    else if (fact.type === "file" && named.has(path)) take(path, fact.bytes);
    else if (fact.type === "file") {
      if (looksSecret(path)) leftOut.add("secret", path, fact.bytes);
      else if (fact.bytes > limits.fileBytes) leftOut.add("tooLarge", path, fact.bytes);
      else fitting.push({ path, bytes: fact.bytes });
    }
  }
  fitting.sort((a, b) => a.bytes - b.bytes || (a.path < b.path ? -1 : 1));
  let bytes = 0;
  fitting.forEach((file, at) => {
    bytes += file.bytes;
    if (bytes > limits.totalBytes || at >= limits.files) leftOut.add("tooLarge", file.path, file.bytes);
    else take(file.path, file.bytes);
  });
  return chosen;

  function take(path: RawPath, bytes: number): void {
    chosen.untracked.push(path);
    chosen.bytes += bytes;
  }
}

interface PathFact {
  type: "file" | "directory" | "special" | "unreadable" | "none";
  bytes: number;
}

/** Looks at what lies at each path, without following a link. */
async function* lookAt<T>(
  root: string,
  items: readonly T[],
  pathOf: (item: T) => RawPath,
): AsyncGenerator<[T, PathFact]> {
  for (let at = 0; at < items.length; at += AT_ONCE) {
    const some = items.slice(at, at + AT_ONCE);
    const facts = await Promise.all(some.map((item) => lookAtOne(pathIn(root, pathOf(item)))));
    for (const [index, item] of some.entries()) yield [item, facts[index]!];
  }
}

async function lookAtOne(path: Buffer): Promise<PathFact> {
  try {
    const facts = await lstat(path);
    if (facts.isDirectory()) return { type: "directory", bytes: 0 };
    if (facts.isSymbolicLink()) return { type: "file", bytes: facts.size };
    if (!facts.isFile()) return { type: "special", bytes: 0 };
    await access(path, constants.R_OK);
    return { type: "file", bytes: facts.size };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { type: code === "ENOENT" || code === "ENOTDIR" ? "none" : "unreadable", bytes: 0 };
  }
}
