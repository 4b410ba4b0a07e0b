import { cutChars } from "../../proto/index.ts";
import { namingLine } from "../present/patch-names.ts";
import { html, type Html } from "./html.ts";
import { maskSecrets } from "./mask-secrets.ts";

/** Lines that are shown of one file, and in all. */
const FILE_LINES = 2_000;
const MAX_LINES = 20_000;
const LINE_LENGTH = 2_000;
/** A longer file is shown when somebody opens it. */
const OPEN_LINES = 400;

/** Returns a patch as HTML, file by file, up to some size. `whole`: nothing of it was cut before. */
export function diffHtml(patch: string, { whole }: { whole: boolean }): Html {
  const files = patch.split(/^(?=diff --git )/m).filter((file) => file.startsWith("diff --git "));
  let room = MAX_LINES;
  const shown: Html[] = [];
  for (const file of files) {
    // Each by itself: the beginning of a key that has no end would hide all files after it.
    const lines = maskSecrets(file).split("\n");
    if (lines.at(-1) === "") lines.pop();
    const taken = Math.min(lines.length, FILE_LINES, room);
    room -= taken;
    shown.push(fileHtml(lines, taken));
    if (room === 0) break;
  }
  const missing = files.length - shown.length;
  const more =
    missing > 0 ? `${missing} more files are not in this file.` : whole ? "" : "More of the patch is not in this file.";
  return html`${shown}${more === "" ? "" : html`<p class="note">${more}</p>`}`;
}

function fileHtml(lines: readonly string[], taken: number): Html {
  let over = true;
  const rows = lines.slice(0, taken).map((line) => {
    if (line.startsWith("@@ ")) over = false;
    const kind = over ? "head" : (KINDS[line[0] ?? ""] ?? "same");
    return html`<span class="${kind}">${cutLine(over ? namingLine(line) : line)}</span>`;
  });
  const rest = lines.length - taken;
  const name = namingLine(lines[0]!).replace(/^diff --git /, "");
  const more = rest > 0 ? html`<p class="note">${rest} more lines are not in this file.</p>` : "";
  const open = lines.length > OPEN_LINES ? "" : html` open`;
  return html`<details${open}><summary>${cutLine(name)}</summary><pre class="diff">${rows}</pre>${more}</details>\n`;
}

const KINDS: Record<string, string> = { "+": "added", "-": "deleted", "@": "hunk" };

function cutLine(line: string): string {
  return line.length <= LINE_LENGTH ? line : `${cutChars(line, LINE_LENGTH)}[cut]`;
}
