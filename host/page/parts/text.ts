/**
 * What a browser would obey or show as nothing: control characters but newline and tab, marks of direction, joiners, fillers,
 * tags, line ends that are none of ours, halves of characters. A character may have one emoji variation selector.
 */
export const HIDDEN =
  /[[\p{Cc}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029\ufff9-\ufffb]--[\n\t\ufe0e\ufe0f]]|(?<=[\ufe0e\ufe0f])[\ufe0e\ufe0f]/gv;

/** Returns a text in which what could not be seen is written out, such as ⟨U+202E⟩. */
export function visible(text: string): string {
  return text.toWellFormed().replace(HIDDEN, (hidden) => {
    return `⟨U+${hidden.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}
