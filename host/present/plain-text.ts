/**
 * Takes everything out of a text that a terminal or a reader could be fooled with: control
 * characters but newline and tab, and the invisible ones that reorder text. What comes out of a
 * container is shown in no other way.
 */
export function plainText(text: string): string {
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, "");
}

/** Puts a text on one line of at most `maxLength` characters. */
export function oneLine(text: string, maxLength: number): string {
  const line = plainText(text).replace(/\s+/g, " ").trim();
  return line.length <= maxLength ? line : `${line.slice(0, maxLength - 1)}…`;
}
