/**
 * Object of JSON that somebody else wrote, with values of any type. The functions here say what they expect, and what
 * they take instead.
 */
export type JsonObject = Readonly<Record<string, unknown>>;

const NOTHING: JsonObject = {};

/** Returns the value if it is an object, otherwise an empty one. */
export function objectOf(value: unknown): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : NOTHING;
}

/** Returns the value if it is a list, otherwise an empty one. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/**
 * Returns the value if it is a text, otherwise an empty one. Halves of characters, which JSON may hold, are replaced.
 */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value.toWellFormed() : "";
}

/** Returns the value if it is a finite number, otherwise 0. */
export function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

/** Returns the nearest whole number between 0 and the largest int32. What is no number is 0. */
export function countOf(value: unknown): number {
  return Math.min(Math.max(Math.trunc(numberOf(value)), 0), 0x7fffffff);
}
