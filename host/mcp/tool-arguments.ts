import { z } from "zod";
import { nearestName } from "../nearest-name.ts";

/** Returns the schema of a tool's arguments. Unknown ones are refused, each with the most similar known one. */
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
