const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);

/** Bounds of a JSON text. */
export interface JsonBounds {
  /** Values in it, about. */
  values: number;
  /** Lists and objects within each other. */
  depth: number;
}

/** Far above any request: the longest conversation has some ten thousand values, and no schema is as deep. */
const REQUEST_BOUNDS: JsonBounds = { values: 200_000, depth: 200 };

/**
 * Returns whether a JSON text is no deeper, and has no more values, than any real request. Texts of nothing but
 * brackets take seconds and thirty times their size in memory to parse, and everything else would wait. Whether it is
 * JSON is not checked.
 */
export function isReasonable(json: Buffer): boolean {
  return countValues(json, REQUEST_BOUNDS) !== undefined;
}

/** Returns about how many values a JSON text has, which is what it takes to read it. Undefined: it is out of bounds. */
export function countValues(json: Buffer, bounds: JsonBounds): number | undefined {
  let values = 0;
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]!;
    if (byte === QUOTE) at = endOfString(json, at);
    else if (byte === COMMA) values++;
    else if (OPENING.has(byte)) {
      values++;
      depth++;
    } else if (CLOSING.has(byte)) depth--;
    if (values > bounds.values || depth > bounds.depth) return undefined;
  }
  return values;
}

/** Members of a JSON object. */
export type Members = Record<string, unknown>;

/** Returns whether a value is a JSON object: neither a list nor null. */
export function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the value of a JSON text. Undefined: it is no JSON. */
export function parseJson(json: Buffer | string): unknown {
  try {
    return JSON.parse(json.toString());
  } catch {
    return undefined;
  }
}

/** Where the string that starts here ends; the end of all if it does not. */
function endOfString(json: Buffer, start: number): number {
  for (let from = start + 1; ;) {
    const end = json.indexOf(QUOTE, from);
    if (end < 0) return json.length;
    let before = end;
    while (json[before - 1] === BACKSLASH && before > from) before--;
    if ((end - before) % 2 === 0) return end;
    from = end + 1;
  }
}
