import { pathText } from "./path-text.ts";

/** Lines over the hunks that name files. */
const NAMING = /^(?:diff --git |--- |\+\+\+ |(?:rename|copy) (?:from|to) )/;
const QUOTED = /"(?:[^"\\]|\\.)*"/g;

/**
 * Returns a line that stands over a patch's hunks with the names of its files as people are shown them: git's octal numbers only
 * where a name holds what is not to be shown. git apply takes it all the same.
 */
export function namingLine(line: string): string {
  if (!NAMING.test(line) || !line.includes('"')) return line;
  const shown = line.replace(QUOTED, (quoted) => pathText(quoted));
  // As git does it, a tab ends a name with a space.
  const tab = /^(?:---|\+\+\+) [^"]* [^"\t]*$/.test(shown.trimEnd()) && shown !== line ? "\t" : "";
  return tab === "" ? shown : shown.replace(/\n?$/, (end) => `${tab}${end}`);
}

/** Returns a patch with the names of its files as people are shown them. */
export function readablePatch(patch: string): string {
  let over = false;
  const lines = patch.split("\n").map((line) => {
    if (line.startsWith("diff --git ")) over = true;
    else if (line.startsWith("@@ ") || line.startsWith("GIT binary patch")) over = false;
    return over ? namingLine(line) : line;
  });
  return lines.join("\n");
}
