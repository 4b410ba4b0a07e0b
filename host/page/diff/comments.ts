import { cutChars } from "../../../proto/index.ts";
import type { PatchedFile } from "./patch.ts";
import type { LineRow } from "./rows.ts";

/** Lines of a file, of the new one or of what it was before. */
export interface Place {
  path: string;
  side: "old" | "new";
  from: number;
  to: number;
}

/** Comment on lines of a diff. */
export interface Comment extends Place {
  id: string;
  /** The lines, with their marks. */
  quote: string[];
  /** What is said of them. */
  text: string;
}

/** Most lines, and characters of each, that are quoted. */
const QUOTED_LINES = 10;
const QUOTED_CHARS = 200;

/** Comments on one session's changes. Kept where a reload of the page loses nothing. Tells of each change by "change". */
export class Comments extends EventTarget {
  readonly #storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  readonly #key: string;
  #all: Comment[];

  constructor(sessionId: string, storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> = sessionStorage) {
    super();
    this.#storage = storage;
    this.#key = `claudecluster-comments ${sessionId}`;
    this.#all = readComments(storage.getItem(this.#key));
  }

  /** All comments, the oldest first. */
  get all(): readonly Comment[] {
    return this.#all;
  }

  /** The comment that is being written. Undefined: none is. */
  get draft(): Comment | undefined {
    return readComments(this.#storage.getItem(`${this.#key} draft`))[0];
  }

  set draft(draft: Comment | undefined) {
    if (draft === undefined) this.#storage.removeItem(`${this.#key} draft`);
    else this.#storage.setItem(`${this.#key} draft`, JSON.stringify([draft]));
  }

  /** Takes a comment, in place of the one with the same id. One without text is removed. */
  put(comment: Comment): void {
    const at = this.#all.findIndex(({ id }) => id === comment.id);
    if (comment.text.trim() === "") this.#all = this.#all.filter(({ id }) => id !== comment.id);
    else if (at === -1) this.#all = [...this.#all, comment];
    else this.#all = this.#all.with(at, comment);
    this.#changed();
  }

  /** Removes comments, by their ids. */
  remove(ids: readonly string[]): void {
    this.#all = this.#all.filter(({ id }) => !ids.includes(id));
    this.#changed();
  }

  #changed(): void {
    if (this.#all.length === 0) this.#storage.removeItem(this.#key);
    else this.#storage.setItem(this.#key, JSON.stringify(this.#all));
    this.dispatchEvent(new Event("change"));
  }
}

/** Returns the place and the lines of rows that follow each other in one file; undefined where none of them is a line of it. */
export function placeOf(rows: readonly LineRow[]): { place: Place; quote: string[] } | undefined {
  const [first] = rows;
  if (first === undefined) return undefined;
  // Lines that are gone have a number of before only.
  const side = rows.every(({ newNumber }) => newNumber === 0) ? "old" : "new";
  const numbers = rows.map((row) => (side === "old" ? row.oldNumber : row.newNumber)).filter((number) => number > 0);
  if (numbers.length === 0) return undefined;
  const lines = rows.flatMap((row) => linesOf(row.file, row));
  const quote = lines.slice(0, QUOTED_LINES).map((line) => cut(line));
  if (lines.length > QUOTED_LINES) quote.push(`… ${lines.length - QUOTED_LINES} more lines`);
  return { place: { path: first.file.path, side, from: Math.min(...numbers), to: Math.max(...numbers) }, quote };
}

/** Returns a place as people write it. */
export function placeText({ path, side, from, to }: Place, shown: (path: string) => string = (same) => same): string {
  const lines = from === to ? `${from}` : `${from}-${to}`;
  return `${shown(path)}:${lines}${side === "old" ? " (before the change)" : ""}`;
}

/** Returns comments as one message to who made the changes: file by file, from top to bottom. */
export function reviewMessage(comments: readonly Comment[]): string {
  const sorted = comments.toSorted((a, b) => compare(a.path, b.path) || a.from - b.from || a.to - b.to);
  const what = comments.length === 1 ? "a comment" : `${comments.length} comments`;
  const parts = sorted.map((comment) => {
    const quote = comment.quote.map((line) => `> ${line}`).join("\n");
    return `${placeText(comment)}\n${quote}\n${comment.text.trim()}`;
  });
  return [`I looked at your changes and have ${what}:`, ...parts].join("\n\n");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The lines of a row; of two beside each other both, unless they are the same. */
function linesOf({ lines }: PatchedFile, { at, beside }: LineRow): string[] {
  const places = beside === undefined || beside === at ? [at] : [at, beside];
  return places.flatMap((place) => lines[place] ?? []);
}

function cut(line: string): string {
  const text = line.toWellFormed().replace(/\r$/, "");
  return text.length <= QUOTED_CHARS ? text : `${cutChars(text, QUOTED_CHARS)}…`;
}

function readComments(json: string | null): Comment[] {
  try {
    const all: unknown = JSON.parse(json ?? "[]");
    return Array.isArray(all) ? (all as Comment[]).filter(({ id, quote }) => id !== "" && Array.isArray(quote)) : [];
  } catch {
    // Somebody else wrote there.
    return [];
  }
}
