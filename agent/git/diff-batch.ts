import { AppError } from "../../proto/index.ts";
import { diffFiles, type FileDiff, objectSizes } from "./change-diff.ts";
import type { GitPlace } from "./git.ts";
import type { RawDiffEntry } from "./raw-diff.ts";

/** What one scan returns at most: the rest comes with the next ones. */
const MAX_DELTA_BYTES = 32 * 1024 * 1024;
const MAX_DELTA_FILES = 2000;
/** So few are diffed without asking for their sizes first. */
const FEW_FILES = 20;

/** Diffs as many of the files as one scan tells of, at least one. `more`: there are more of them. */
export async function diffBatch(
  place: GitPlace,
  entries: readonly RawDiffEntry[],
  options: { directory: string; emptyTree: string; signal: AbortSignal },
): Promise<{ files: FileDiff[]; more: boolean }> {
  const many = entries.length > FEW_FILES;
  const sizes = many ? await objectSizes(place, entries.slice(0, MAX_DELTA_FILES), options) : undefined;
  const batch = sizes === undefined ? entries : limit(entries, sizes);
  return { files: await diff(place, batch, { sizes, ...options }), more: batch.length < entries.length };
}

/** Returns as many of the entries as one scan can diff, at least one. */
function limit(entries: readonly RawDiffEntry[], sizes: ReadonlyMap<string, number>): RawDiffEntry[] {
  let bytes = 0;
  const batch = entries.slice(0, MAX_DELTA_FILES);
  const end = batch.findIndex(({ oldId, newId }, at) => {
    bytes += (sizes.get(oldId) ?? 0) + (sizes.get(newId) ?? 0);
    return at > 0 && bytes > MAX_DELTA_BYTES;
  });
  return end === -1 ? batch : batch.slice(0, end);
}

/** Diffs the files. One whose diff is above all limits gets an empty one. */
async function diff(
  place: GitPlace,
  batch: readonly RawDiffEntry[],
  options: {
    directory: string;
    emptyTree: string;
    sizes: ReadonlyMap<string, number> | undefined;
    signal: AbortSignal;
  },
): Promise<FileDiff[]> {
  const common = { renames: false, maxPatchBytes: 4 * MAX_DELTA_BYTES, ...options };
  try {
    return (await diffFiles(place, batch, { ...common, patch: true })).files;
  } catch (error) {
    if (!(error instanceof AppError) || error.reason !== "OUTPUT_TOO_LARGE") throw error;
    return (await diffFiles(place, batch, { ...common, patch: false })).files;
  }
}
