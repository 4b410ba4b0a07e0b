import { cutChars } from "../../proto/index.ts";

/**
 * What a terminal or a browser would obey and what no reader sees: control characters but newline and tab, halves of characters,
 * line ends that JSON and git do not escape, and what Unicode shows as nothing (soft hyphens, joiners, marks of direction,
 * fillers, tags, annotations). A character may have one emoji variation selector, as emoji are written; a row of them can
 * carry a text.
 */
export const HIDDEN =
  /[[\p{Cc}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029\ufff9-\ufffb]--[\n\t\ufe0e\ufe0f]]|(?<=[\ufe0e\ufe0f])[\ufe0e\ufe0f]/gv;

/**
 * Returns a text without anything that could fool a terminal or a reader. Newlines of every kind become ordinary ones,
 * halves of characters are replaced. What comes out of a container is shown only through this.
 */
export function plainText(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\u2028\u2029]/g, "\n")
    .replace(HIDDEN, "");
}

/** Returns a text on one line of at most `maxLength` UTF-16 units. Default: its whole length. */
export function oneLine(text: string, maxLength = Infinity): string {
  const line = plainText(text).replace(/\s+/g, " ").trim();
  return line.length <= maxLength ? line : `${cutChars(line, maxLength - 1)}…`;
}

/** Returns JSON of the same value with everything escaped that `plainText` takes out. */
export function plainJson(json: string): string {
  return escapeHidden(json, (hidden) =>
    hidden.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`),
  );
}

/** Replaces everything in a text that is hidden, one character after the other. */
export function escapeHidden(text: string, escape: (hidden: string) => string): string {
  return text.replace(HIDDEN, escape);
}

/** Returns what a character is called that is not seen: U+202E. */
export function hiddenName(hidden: string): string {
  return `U+${hidden.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
}
