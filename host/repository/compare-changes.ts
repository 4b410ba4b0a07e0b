import type { RawPath } from "../../proto/index.ts";
import { type Conflict, mergeTrees } from "./merge-trees.ts";
import type { PreparedChanges } from "./session-changes.ts";

/** Overlap of two results that touch the same files. */
export interface Overlap {
  /** Places of the two in the list of results. */
  pair: readonly [number, number];
  /** Files that both have changed, alike or not. Empty if they meet in the merge alone, as a file and a directory do. */
  paths: RawPath[];
  /** Files that do not go together. */
  conflicts: Conflict[];
}

/** Comparison of results: where they meet, and in which order to take them. */
export interface Comparison {
  overlaps: Overlap[];
  /** Order in which the results are best taken: places in the list, and conflicts with those before. */
  order: { at: number; conflicts: Conflict[] }[];
}

/**
 * Compares results of sessions by merging them in memory: nothing is checked out, and nothing of the user's is touched.
 * All must have been prepared in one scratch repository. A result with another start than the first is moved to the start
 * of the first.
 */
export async function compareChanges(
  results: readonly PreparedChanges[],
  { signal }: { signal: AbortSignal },
): Promise<Comparison> {
  const [first] = results;
  if (first === undefined) return { overlaps: [], order: [] };
  const { scratch, start } = first;
  const merge = (base: string, ours: string, theirs: string) =>
    mergeTrees(
      scratch,
      base,
      [
        { name: "first", treeId: ours },
        { name: "second", treeId: theirs },
      ],
      { signal },
    );
  const trees: string[] = [];
  for (const { start: own, treeId } of results) {
    trees.push(own.treeId === start.treeId ? treeId : (await merge(own.treeId, start.treeId, treeId)).treeId);
  }
  const overlaps: Overlap[] = [];
  const rivals = results.map(() => 0);
  for (const [b, second] of results.entries()) {
    const touched = new Set(second.changes.map(({ path }) => path));
    for (const [a, earlier] of results.slice(0, b).entries()) {
      const paths = earlier.changes.map(({ path }) => path).filter((path) => touched.has(path));
      // A file of one may be a directory of the other, or renamed by it: that shows in the merge alone.
      const { conflicts } = await merge(start.treeId, trees[a]!, trees[b]!);
      if (paths.length === 0 && conflicts.length === 0) continue;
      overlaps.push({ pair: [a, b], paths, conflicts });
      if (conflicts.length === 0) continue;
      rivals[a]! += 1;
      rivals[b]! += 1;
    }
  }
  // Those in nobody's way first, and small before large: what is left to be resolved by hand comes last.
  const size = (at: number): number => results[at]!.changes.length;
  const sorted = results.map((_, at) => at).sort((a, b) => rivals[a]! - rivals[b]! || size(a) - size(b) || a - b);
  const order: Comparison["order"] = [];
  let taken = start.treeId;
  for (const at of sorted) {
    const { treeId, conflicts } = await merge(start.treeId, taken, trees[at]!);
    order.push({ at, conflicts });
    if (conflicts.length === 0) taken = treeId;
  }
  return { overlaps, order };
}
