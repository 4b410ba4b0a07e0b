/** As many are named in a message. */
const MAX_NAMED = 10;

/** Joins the first 10 texts with commas, and says how many more there are. */
export function nameSome(texts: readonly string[]): string {
  const more = texts.length > MAX_NAMED ? ` and ${texts.length - MAX_NAMED} more` : "";
  return `${texts.slice(0, MAX_NAMED).join(", ")}${more}`;
}
