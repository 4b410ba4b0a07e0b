import { ABSENT, type RawDiffEntry } from "./raw-diff.ts";
import type { RawPath } from "../../proto/index.ts";

/** State of a file somewhere: mode and id, ABSENT, or SAME as in the start commit. */
export type FileState = string;
const SAME: FileState = "=";

/** Returns the state of a file on the new side of a difference from the start commit. */
export function stateOf({ newMode, newId }: RawDiffEntry): FileState {
  return newMode === ABSENT ? ABSENT : `${newMode} ${newId}`;
}

/** Returns the states of all files that differ from the start commit, by path. */
export function statesOf(entries: readonly RawDiffEntry[]): Map<RawPath, FileState> {
  return new Map(entries.map((entry) => [entry.path, stateOf(entry)]));
}

/** Counts the paths whose states differ. A path without a state is as in the start commit. */
export function countDiffering(
  paths: ReadonlySet<RawPath>,
  some: ReadonlyMap<RawPath, FileState>,
  others: ReadonlyMap<RawPath, FileState>,
): number {
  return [...paths].filter((path) => (some.get(path) ?? SAME) !== (others.get(path) ?? SAME)).length;
}
