import type { RawPath } from "../../proto/index.ts";
import { type Conflict, mergeTrees } from "./merge-trees.ts";
import type { PreparedChanges } from "./session-changes.ts";

/** Two results that touch the same files. */
export interface Overlap {
  /** Their places in the list. */
  pair: readonly [number, number];
  /** What both have changed, alike or not. */
  paths: RawPath[];
  /** What does not go together. */
  conflicts: Conflict[];
}

/** Results side by side. */
export interface Comparison {
  overlaps: Overlap[];
  /** In which order they are best taken: places in the list, and what does not go together with those before. */
  order: { at: number; conflicts: Conflict[] }[];
}

/**
 * Compares results of sessions by merging them in memory: nothing is checked out, and nothing of the user's is touched. All
 * must have been prepared in one scratch repository. One with another start than the first counts as if it had been made
 * on that of the first.
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
