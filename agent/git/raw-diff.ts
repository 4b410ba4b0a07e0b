import type { RawPath } from "../../proto/index.ts";

/** Mode of a side of a difference that does not exist. */
export const ABSENT = "000000";
/** Mode of a submodule: the index has a commit id where a directory would be. */
export const GITLINK = "160000";

/** Line of git's raw diff: what a path was and what it is. https://git-scm.com/docs/git-diff#_raw_output_format */
export interface RawDiffEntry {
  path: RawPath;
  /** Path before a rename. Without one it equals `path`. */
  oldPath: RawPath;
  oldMode: string;
  newMode: string;
  oldId: string;
  /** Id of the new content. All zeros if git would have to read the work tree for it. */
  newId: string;
}

/** Number of lines added and deleted. Undefined: it is not text. */
export type LineCounts = { added: number; deleted: number } | undefined;

/** Output of git diff with --raw, --numstat, --patch and -z. */
export interface ParsedDiff {
  entries: RawDiffEntry[];
  /** Counts of lines, one for each entry. Empty without --numstat. */
  counts: LineCounts[];
  /** Patch, as a view of the output without copying. */
  patch: Buffer;
}

/** Parses the output of `git diff --raw -z`. */
export function parseRawDiff(output: Buffer): RawDiffEntry[] {
  return parseDiff(output).entries;
}

/** Parses the output of `git diff --raw -z`, with or without `--numstat` and `--patch`. */
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

/**
 * Returns the number of "diff --git" sections that an entry has in a patch. A change of type has two: a deletion and a
 * creation.
 */
export function sectionCount({ oldMode, newMode }: RawDiffEntry): number {
  const typeChanged = oldMode !== ABSENT && newMode !== ABSENT && oldMode.slice(0, 2) !== newMode.slice(0, 2);
  return typeChanged ? 2 : 1;
}

/**
 * Splits a patch at its "diff --git" lines. No other line can begin so: text content has a mark before each line, and
 * encoded binary content has no spaces.
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
