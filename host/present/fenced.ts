/** Shortest fence of a block in Markdown. */
const FENCE = "```";

/** Returns a text as a block of code in Markdown. It cannot end its block: the fence is longer than any row of backticks in it. */
export function fenced(text: string, language = ""): string {
  const longest = Math.max(...(text.match(/`+/g) ?? [FENCE]).map((row) => row.length + 1), FENCE.length);
  const fence = "`".repeat(longest);
  return `${fence}${language}\n${text}${text.endsWith("\n") ? "" : "\n"}${fence}`;
}
