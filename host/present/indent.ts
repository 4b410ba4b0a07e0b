/** From here on characters may be two columns wide; one that is counted too wide only ends its line early. */
const FIRST_WIDE = 0x1100;
const TAB_COLUMNS = 8;
/** As terminals are where they do not say. */
export const UNKNOWN_COLUMNS = 80;

/**
 * Indents every line of a text. A line that is wider than `columns` goes on below itself: a terminal would let it go on
 * at its margin, where the host's own rows begin. A terminal that says it has no columns does not know how many.
 */
export function indent(text: string, by: number, columns = Infinity): string {
  const lead = " ".repeat(by);
  return wrap(text, (columns || UNKNOWN_COLUMNS) - by)
    .map((line) => (line === "" ? line : lead + line))
    .join("\n");
}

/** Writes a text behind a lead, its further lines below its first one. */
export function hang(lead: string, text: string, columns = Infinity): string {
  return lead + indent(text, lead.length, columns).slice(lead.length);
}

/** Returns the lines of a text, each at most `width` columns wide, as far as one can tell. */
export function wrap(text: string, width: number): string[] {
  const room = Math.max(1, width);
  return text.split("\n").flatMap((line) => {
    const parts = [""];
    let used = 0;
    for (const character of line) {
      const columns = character === "\t" ? TAB_COLUMNS : character.codePointAt(0)! < FIRST_WIDE ? 1 : 2;
      if (used > 0 && used + columns > room) {
        parts.push("");
        used = 0;
      }
      parts[parts.length - 1] += character;
      used += columns;
    }
    return parts;
  });
}
