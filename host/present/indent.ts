/** From here on characters may be two columns wide; one that is counted too wide only ends its line early. */
const FIRST_WIDE = 0x1100;
const TAB_COLUMNS = 8;
/** Columns of a terminal that does not say how many it has. */
export const UNKNOWN_COLUMNS = 80;

/**
 * Indents every line of a text. A line wider than `columns` is wrapped below itself: the terminal would continue it at
 * its margin, where the host's own rows begin. 0 columns means that the terminal does not know.
 */
export function indent(text: string, by: number, columns = Infinity): string {
  const lead = " ".repeat(by);
  return wrap(text, (columns || UNKNOWN_COLUMNS) - by)
    .map((line) => (line === "" ? line : lead + line))
    .join("\n");
}

/** Returns a text behind a lead, with its further lines below the first one. */
export function hang(lead: string, text: string, columns = Infinity): string {
  return lead + indent(text, lead.length, columns).slice(lead.length);
}

/** Returns the lines of a text, each at most `width` columns wide as far as that can be told. */
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
