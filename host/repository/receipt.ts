import { quotePath, type RawPath, rawPathOf } from "../../proto/index.ts";

/** Reason why a file is not in a snapshot. */
export type LeftOutKind =
  "ignored" | "tooLarge" | "unreadable" | "lfs" | "submodule" | "secret" | "nestedRepository" | "special";

/** Files that were left out for one reason. */
export interface LeftOutFiles {
  kind: LeftOutKind;
  /** Number of files. A directory that is left out as a whole counts once. */
  count: number;
  /** Paths of the five largest, in git's quoted form. A directory ends in a slash. */
  paths: string[];
}

/** Receipt for a snapshot: what went in, and what did not. */
export interface SnapshotReceipt {
  /** Commit that is checked out. Undefined: there is none yet. */
  commit: string | undefined;
  /** Full name of the branch. Undefined: none is checked out. */
  branch: string | undefined;
  /** Number of files that differ between HEAD and the index. */
  staged: number;
  /** Number of tracked files that differ between the index and the work tree. */
  changed: number;
  /** Number of untracked files that went in, the included ones among them. */
  untracked: number;
  /** Size of the files that were read, before compression. */
  bytes: number;
  /** Number of files of Git LFS that went in with their content. */
  large: number;
  leftOut: LeftOutFiles[];
  /** Files that went in because they were named, in git's quoted form. */
  included: string[];
  /** Files that did not hold still, in git's quoted form: each went in as it was at some moment. */
  changedWhileRead: string[];
  /** Submodules that went in with their files, in git's quoted form. What is said above holds for these files too. */
  submodules: string[];
}

/** Longer lists say no more. */
const MAX_PATHS = 5;

/** List of the files that are left out, while a snapshot is taken. */
export class LeftOutList {
  readonly #files = new Map<LeftOutKind, { path: RawPath; bytes: number }[]>();

  add(kind: LeftOutKind, path: RawPath, bytes = 0): void {
    const files = this.#files.get(kind) ?? [];
    files.push({ path, bytes });
    this.#files.set(kind, files);
  }

  /** Returns the files by kind, sorted by the kind's name. */
  finish(): LeftOutFiles[] {
    const byKind = [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1));
    return byKind.map(([kind, files]) => {
      files.sort((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1));
      return { kind, count: files.length, paths: files.slice(0, MAX_PATHS).map(({ path }) => quotePath(path)) };
    });
  }
}

/** Returns a receipt that speaks of submodules' files too, by the paths from the outer repository's top. */
export function mergeReceipts(
  own: SnapshotReceipt,
  submodules: readonly { path: string; receipt: SnapshotReceipt }[],
): SnapshotReceipt {
  const merged = { ...own };
  const leftOut = new Map(own.leftOut.map((files) => [files.kind, files]));
  for (const { path, receipt } of submodules) {
    const top = quotePath(rawPathOf(path));
    const from = (paths: readonly string[]) => paths.map((inner) => joinQuoted(top, inner));
    for (const count of ["staged", "changed", "untracked", "bytes", "large"] as const) merged[count] += receipt[count];
    merged.included = [...merged.included, ...from(receipt.included)];
    merged.changedWhileRead = [...merged.changedWhileRead, ...from(receipt.changedWhileRead)];
    merged.submodules = [...merged.submodules, top, ...from(receipt.submodules)];
    for (const { kind, count, paths } of receipt.leftOut) {
      const before = leftOut.get(kind) ?? { count: 0, paths: [] };
      leftOut.set(kind, {
        kind,
        count: before.count + count,
        paths: [...before.paths, ...from(paths)].slice(0, MAX_PATHS),
      });
    }
  }
  merged.leftOut = [...leftOut.values()].sort((a, b) => (a.kind < b.kind ? -1 : 1));
  return merged;
}

/** Joins two paths in git's quoted form. */
function joinQuoted(top: string, path: string): string {
  const isQuoted = [top, path].some((part) => part.startsWith('"'));
  const joined = [top, path].map((part) => part.replace(/^"(.*)"$/s, "$1")).join("/");
  return isQuoted ? `"${joined}"` : joined;
}
