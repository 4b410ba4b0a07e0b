import type { Hunk, PatchedFile } from "./patch.ts";

/** Line of a diff, as it stands in one row. */
export interface LineRow {
  kind: "line";
  file: PatchedFile;
  /** Its place in the file's lines: of two beside each other the old one's. -1: there is none. */
  at: number;
  /** The new one's place, where two stand beside each other. -1: there is none. Undefined: one stands alone. */
  beside: number | undefined;
  /** Numbers of the line in the old and in the new file. 0: it is not in it. */
  oldNumber: number;
  newNumber: number;
}

/** Row of a diff. */
export type Row =
  | LineRow
  | { kind: "file"; file: PatchedFile }
  | { kind: "hunk"; file: PatchedFile; hunk: Hunk }
  | { kind: "note"; file: PatchedFile; text: string }
  /** What there is more of this file, for who asks. */
  | { kind: "more"; file: PatchedFile };

/** How the rows of files are made. */
export interface RowOptions {
  /** The old and the new lines beside each other. */
  sideBySide: boolean;
  /** Whether a file's lines are shown. */
  isOpen: (file: PatchedFile) => boolean;
}

/** A file with more lines is opened by who wants to see it. */
export const LARGE_LINES = 2000;

/** Returns whether a file is not too large to be shown unasked. */
export function isSmall({ lines }: PatchedFile): boolean {
  return lines.length <= LARGE_LINES;
}

/** Returns the rows of files, in their order. */
export function makeRows(files: readonly PatchedFile[], { sideBySide, isOpen }: RowOptions): Row[] {
  const rows: Row[] = [];
  for (const file of files) {
    rows.push({ kind: "file", file });
    if (!isOpen(file)) {
      if (!isSmall(file)) rows.push({ kind: "more", file });
      continue;
    }
    const note = noteOf(file);
    if (note !== undefined) rows.push({ kind: "note", file, text: note });
    for (const hunk of file.hunks) {
      // Of what is whole there is no place to tell.
      if (file.kind !== "added" && file.kind !== "deleted") rows.push({ kind: "hunk", file, hunk });
      if (sideBySide) addBeside(rows, file, hunk);
      else addLines(rows, file, hunk);
    }
    if (file.cut && file.hunks.length > 0)
      rows.push({ kind: "note", file, text: "The rest is too large to be shown." });
  }
  return rows;
}

/** What is to be said of a file that has no lines, or whose lines are none of text. */
function noteOf(file: PatchedFile): string | undefined {
  if (file.binary) {
    const size = file.sizeBytes === undefined || file.kind === "deleted" ? "" : `, ${file.sizeBytes} bytes now`;
    return `Binary file${size}.`;
  }
  if (file.hunks.length > 0) return undefined;
  if (file.cut) return "Too large to be shown while the session runs.";
  if (file.kind === "renamed" || file.kind === "copied") return "Its content is the same.";
  if (file.kind === "added" || file.kind === "deleted") return "An empty file.";
  return file.oldMode === file.newMode ? "Nothing to show." : "Only its mode has changed.";
}

function addLines(rows: Row[], file: PatchedFile, hunk: Hunk): void {
  let [oldNumber, newNumber] = [hunk.oldStart, hunk.newStart];
  for (let at = hunk.from; at < hunk.to; at++) {
    const mark = file.lines[at]!.charAt(0);
    const [isOld, isNew] = [mark === " " || mark === "-", mark === " " || mark === "+"];
    rows.push({
      kind: "line",
      file,
      at,
      beside: undefined,
      oldNumber: isOld ? oldNumber++ : 0,
      newNumber: isNew ? newNumber++ : 0,
    });
  }
}

/** Deleted lines stand beside the added ones that follow them. */
function addBeside(rows: Row[], file: PatchedFile, hunk: Hunk): void {
  let [oldNumber, newNumber] = [hunk.oldStart, hunk.newStart];
  let [old, made]: [number[], number[]] = [[], []];
  const flush = (): void => {
    for (let at = 0; at < Math.max(old.length, made.length); at++) {
      const [left, right] = [old[at] ?? -1, made[at] ?? -1];
      rows.push({
        kind: "line",
        file,
        at: left,
        beside: right,
        oldNumber: isLine(file, left) ? oldNumber++ : 0,
        newNumber: isLine(file, right) ? newNumber++ : 0,
      });
    }
    [old, made] = [[], []];
  };
  let last = " ";
  for (let at = hunk.from; at < hunk.to; at++) {
    const mark = file.lines[at]!.charAt(0);
    // "No newline" belongs to the line before it.
    const side = mark === "\\" ? last : mark;
    if (side === " " || (side === "-" && made.length > 0)) flush();
    if (side !== "+") old.push(at);
    if (side !== "-") made.push(at);
    if (side === " ") flush();
    last = side;
  }
  flush();
}

function isLine(file: PatchedFile, at: number): boolean {
  return at !== -1 && file.lines[at]!.charAt(0) !== "\\";
}

/** Returns the place of the line that took the place of this one, or that this one took the place of. -1: there is none. */
export function counterpart({ lines, hunks }: PatchedFile, at: number): number {
  const mark = lines[at]!.charAt(0);
  const hunk = hunks.find(({ from, to }) => at >= from && at < to);
  if (hunk === undefined || (mark !== "-" && mark !== "+")) return -1;
  const is = (place: number, wanted: string): boolean =>
    place >= hunk.from && place < hunk.to && lines[place]!.charAt(0) === wanted;
  // Deleted lines and then as many added ones.
  let first = at;
  while (is(first - 1, mark)) first -= 1;
  let end = at + 1;
  while (is(end, mark)) end += 1;
  const count = end - first;
  const other = mark === "-" ? "+" : "-";
  const start = mark === "-" ? end : first - count;
  if (!is(start, other) || !is(start + count - 1, other) || is(start - 1, other) || is(start + count, other)) return -1;
  return start + (at - first);
}
