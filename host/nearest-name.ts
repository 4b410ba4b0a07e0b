/** Below this two names have nothing in common. */
const MIN_LIKENESS = 0.4;

/** Returns the known name that is most like a wrong one. Undefined: none is like it. */
export function nearestName(given: string, known: readonly string[]): string | undefined {
  const likenesses = known.map((name) => ({ name, likeness: likeness(given, name) }));
  const [nearest] = likenesses.sort((one, other) => other.likeness - one.likeness);
  return nearest !== undefined && nearest.likeness >= MIN_LIKENESS ? nearest.name : undefined;
}

/** From 0 to 1: the part of the pairs of letters that both have (Dice's coefficient). */
function likeness(one: string, other: string): number {
  const [ones, others] = [pairs(one), pairs(other)];
  const both = [...ones].filter((pair) => others.has(pair)).length;
  return ones.size + others.size === 0 ? 0 : (2 * both) / (ones.size + others.size);
}

function pairs(name: string): Set<string> {
  const letters = name.toLowerCase().replace(/[^a-z0-9]/g, "");
  return new Set(
    Array.from({ length: Math.max(0, letters.length - 1) }, (_, index) => letters.slice(index, index + 2)),
  );
}
