// Reading JSON that somebody else wrote: every access says what it expects, and what it takes otherwise.

export type JsonObject = Readonly<Record<string, unknown>>;

const NOTHING: JsonObject = {};

export function objectOf(value: unknown): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : NOTHING;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A text; halves of characters, which JSON can hold and nobody takes from us, are replaced. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value.toWellFormed() : "";
}

/** A finite number, otherwise 0. */
export function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

/** A whole number that fits an int32 and is not negative, otherwise the nearest one. */
export function countOf(value: unknown): number {
  return Math.min(Math.max(Math.trunc(numberOf(value)), 0), 0x7fffffff);
}
