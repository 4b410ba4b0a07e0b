import { quotePath, type RawPath } from "../../proto/index.ts";

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
  leftOut: LeftOutFiles[];
  /** Files that went in because they were named, in git's quoted form. */
  included: string[];
  /** Files that did not hold still, in git's quoted form: each went in as it was at some moment. */
  changedWhileRead: string[];
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
