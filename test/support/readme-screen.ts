import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

const README = fileURLToPath(new URL("../../README.md", import.meta.url));

/** What differs from run to run, and what is shown in its place. */
const VARYING: readonly (readonly [RegExp, string])[] = [
  [/(?<=…)[0-9A-Z]{6}/g, "X9N2FJ"],
  [/ses_[0-9A-Z]{26}/g, "ses_01M8MMVJZ50HMGC5EW6CX9N2FJ"],
  [/(?<=Task: +)\w{9}$/gm, "krvzf9gvb"],
  [/(?<=Runtime: +)(?:\d+m )?\d+s/g, "29s"],
  [/ \(\d+s ago\)/g, ""],
  [/· \d+s…/g, "· 17s…"],
  [/\$0\.\d+/g, "$0.020"],
  // It blinks.
  [/^[ ●] (?=Calling )/gm, "● "],
  // What the scripted model says before it calls.
  [/^● (?:I'll load the tools I need|Calling mcp__\w+)\.\n\n/gm, ""],
];

/**
 * Holds a screen of Claude Code against the block of the README with this name, from the person's words on, without what
 * differs from run to run. With SCREENS=write it is written there. Another version than the pinned one has other screens.
 */
export async function expectScreen(name: string, screen: string): Promise<void> {
  if (process.env["CLAUDE_PROGRAM"] !== undefined) return;
  const readme = await readFile(README, "utf8");
  const block = new RegExp(`(?<=<!-- screen: ${name} -->\\n\\n\`\`\`text\\n)[^]*?(?=\`\`\`\\n)`);
  const shown = asShown(screen);
  if (process.env["SCREENS"] === "write")
    await writeFile(
      README,
      readme.replace(block, () => shown),
    );
  else expect(block.exec(readme)?.[0]).toBe(shown);
}

function asShown(screen: string): string {
  const said = /^❯ \S[^]*?(?=^(?:\S (?:\S+ for \d|\S+…)|─{9}))/m.exec(screen)?.[0] ?? screen;
  const lines = said.split("\n").map((line) => line.trimEnd());
  const text = `${lines.join("\n").trim()}\n`.replace(/\n{3,}/g, "\n\n");
  return VARYING.reduce((shown, [varying, fixed]) => shown.replace(varying, fixed), text);
}
