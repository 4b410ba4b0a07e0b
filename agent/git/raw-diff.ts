import type { RawPath } from "../../proto/index.ts";

/** The mode of a side that does not exist. */
export const ABSENT = "000000";
/** The mode of a submodule: a commit id where a directory would be. */
export const GITLINK = "160000";

/** One line of git's raw diff: what a path was and what it is. */
export interface RawDiffEntry {
  path: RawPath;
  /** Differs from path if it was renamed. */
  oldPath: RawPath;
  oldMode: string;
  newMode: string;
  oldId: string;
  /** All zeros where git would have to read the work tree for it. */
  newId: string;
}

/** Lines added and deleted; undefined for what is not text. */
export type LineCounts = { added: number; deleted: number } | undefined;

/** What `--raw --numstat --patch -z` writes. */
export interface ParsedDiff {
  entries: RawDiffEntry[];
  counts: LineCounts[];
  /** A view of the output, without copying. */
  patch: Buffer;
}

/** Reads the output of `--raw -z`. */
export function parseRawDiff(output: Buffer): RawDiffEntry[] {
  return parseDiff(output).entries;
}

/** Reads the output of `--raw -z`, optionally with `--numstat`, optionally with `--patch`. */
export function parseDiff(output: Buffer): ParsedDiff {
  let at = 0;
  const field = (): string => {
    const end = output.indexOf(0, at);
    if (end === -1) throw new Error("git's raw diff ends in the middle of a field");
    const text = output.toString("latin1", at, end);
    at = end + 1;
    return text;
  };
  const entries: RawDiffEntry[] = [];
  while (output[at] === 0x3a) {
    const [oldMode = "", newMode = "", oldId = "", newId = "", status = ""] = field().slice(1).split(" ");
    const oldPath = field();
    const path = /^[RC]/.test(status) ? field() : oldPath;
    entries.push({ path, oldPath, oldMode, newMode, oldId, newId });
  }
  const counts: LineCounts[] = [];
  while (at < output.length && output[at] !== 0) {
    const [added = "", deleted = "", path = ""] = splitTwice(field());
    if (path === "") {
      field();
      field();
    }
    counts.push(added === "-" ? undefined : { added: Number(added), deleted: Number(deleted) });
  }
  return { entries, counts, patch: output.subarray(Math.min(at + 1, output.length)) };
}

function splitTwice(text: string): string[] {
  const first = text.indexOf("\t");
  const second = text.indexOf("\t", first + 1);
  return [text.slice(0, first), text.slice(first + 1, second), text.slice(second + 1)];
}

/** Returns how many "diff --git" sections the entry has in a patch: a change of type is a deletion and a creation. */
export function sectionCount({ oldMode, newMode }: RawDiffEntry): number {
  const typeChanged = oldMode !== ABSENT && newMode !== ABSENT && oldMode.slice(0, 2) !== newMode.slice(0, 2);
  return typeChanged ? 2 : 1;
}

/**
 * Cuts a patch at its "diff --git" lines. No other line can begin so: every line of text content has a mark before
 * it, and the encoding of binary content has no spaces.
 */
export function splitPatch(patch: Buffer): Buffer[] {
  const sections: Buffer[] = [];
  let start = 0;
  while (start < patch.length) {
    const next = patch.indexOf("\ndiff --git ", start);
    const end = next === -1 ? patch.length : next + 1;
    sections.push(patch.subarray(start, end));
    start = end;
  }
  return sections;
}
