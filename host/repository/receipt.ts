import { quotePath, type RawPath } from "../../proto/index.ts";

/** Why something is not in a snapshot. */
export type LeftOutKind =
  "ignored" | "tooLarge" | "unreadable" | "lfs" | "submodule" | "secret" | "nestedRepository" | "special";

/** What of one kind was left out. */
export interface LeftOutFiles {
  kind: LeftOutKind;
  /** A directory that is left out as a whole counts once. */
  count: number;
  /** Some of them, the largest first, in git's quoted form; a directory ends in a slash. */
  paths: string[];
}

/** What went into a snapshot, and what did not. */
export interface SnapshotReceipt {
  /** Undefined: there is no commit yet. */
  commit: string | undefined;
  /** The branch's full name. Undefined: none is checked out. */
  branch: string | undefined;
  /** Files that differ between HEAD and the index. */
  staged: number;
  /** Tracked files that differ between the index and the work tree. */
  changed: number;
  /** Files that are not tracked and went in, the included ones among them. */
  untracked: number;
  /** What was read of the work tree for it, before anything is compressed. */
  bytes: number;
  leftOut: LeftOutFiles[];
  /** Files that went in because they were named, in git's quoted form. */
  included: string[];
  /** Files that did not hold still, in git's quoted form: each went in as it was at some moment. */
  changedWhileRead: string[];
}

/** Longer lists say no more. */
const MAX_PATHS = 5;

/** Gathers what is left out. */
export class LeftOutList {
  readonly #files = new Map<LeftOutKind, { path: RawPath; bytes: number }[]>();

  add(kind: LeftOutKind, path: RawPath, bytes = 0): void {
    const files = this.#files.get(kind) ?? [];
    files.push({ path, bytes });
    this.#files.set(kind, files);
  }

  /** Returns what was gathered, by kind. */
  finish(): LeftOutFiles[] {
    const byKind = [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1));
    return byKind.map(([kind, files]) => {
      files.sort((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1));
      return { kind, count: files.length, paths: files.slice(0, MAX_PATHS).map(({ path }) => quotePath(path)) };
    });
  }
}
