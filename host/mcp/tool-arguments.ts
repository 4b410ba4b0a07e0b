import { z } from "zod";

/** Below this two names have nothing in common. */
const MIN_LIKENESS = 0.4;

/** Returns the schema of a tool's arguments. Others are refused, each with the known one that it is most like. */
export function toolArguments<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? (issue.keys ?? []).map((key) => unknown(key, Object.keys(shape))).join(" ")
        : undefined,
  });
}

function unknown(given: string, known: readonly string[]): string {
  const nearest = nearestName(given, known);
  const hint = nearest === undefined ? `Known are ${known.join(", ")}.` : `Did you mean ${nearest}?`;
  return `There is no argument ${JSON.stringify(given.slice(0, 64))}. ${hint}`;
}

/** Returns the known name that a wrong one is most like; undefined if it is like none. */
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
