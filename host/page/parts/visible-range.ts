/** Returns where each item begins, and at the end where the last one ends (px). */
export function topsOf<T>(items: readonly T[], heightOf: (item: T, index: number) => number): Float64Array {
  const tops = new Float64Array(items.length + 1);
  for (let index = 0; index < items.length; index++) tops[index + 1] = tops[index]! + heightOf(items[index]!, index);
  return tops;
}

/** Returns the first item that reaches into a stretch (px), and the one behind the last that does. */
export function visibleRange(tops: Float64Array, { from, to }: { from: number; to: number }): [number, number] {
  const count = tops.length - 1;
  const start = Math.min(firstAbove(tops, from), count + 1) - 1;
  const end = firstAbove(tops, to - 1e-6);
  return [Math.max(0, Math.min(start, count)), Math.min(end, count)];
}

/** The first index whose top is above a value; their number if there is none. */
function firstAbove(tops: Float64Array, value: number): number {
  let [low, high] = [0, tops.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (tops[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
