import type { Comment, Place } from "./comments.ts";
import type { LineRow, Row } from "./rows.ts";

/** What a diff consists of: rows, comments, and the one that is being written. */
export type Item = Row | { kind: "comment"; comment: Comment } | { kind: "draft"; draft: Comment };

/** Returns a row with the comments that end on it, the one that is being written last. */
export function withComments(row: Row, comments: readonly Comment[], draft: Comment | undefined): Item[] {
  if (row.kind !== "line") return [row];
  const ends = (place: Place) => isEnd(row, place);
  const items: Item[] = comments
    .filter((comment) => ends(comment) && comment.id !== draft?.id)
    .map((comment) => ({ kind: "comment", comment }));
  return [row, ...items, ...(draft !== undefined && ends(draft) ? [{ kind: "draft" as const, draft }] : [])];
}

/** Returns whether a place ends on an item. */
export function isEnd(item: Item, { path, side, to }: Place): boolean {
  if (item.kind !== "line" || item.file.path !== path) return false;
  return (side === "old" ? item.oldNumber : item.newNumber) === to;
}

/** Returns what an item is known by, for as long as it is the same. */
export function keyOf(item: Item): unknown {
  if (item.kind === "comment") return item.comment;
  return item.kind === "draft" ? "draft" : item;
}

/** Returns whether two items are the same of what may be two states of a file. */
export function isLike(item: Item, other: Item): boolean {
  if (!("file" in item) || !("file" in other) || item.file.path !== other.file.path) return false;
  if (item.kind !== other.kind) return false;
  if (item.kind !== "line" || other.kind !== "line") return true;
  return item.newNumber === other.newNumber && item.oldNumber === other.oldNumber;
}

/** Returns whether two items are of one file. */
export function isSameFile(item: Item, other: Item | undefined): boolean {
  return other !== undefined && "file" in item && "file" in other && item.file === other.file;
}

/** Returns the lines among items. */
export function linesOf(items: readonly Item[]): LineRow[] {
  return items.filter((item): item is LineRow => item.kind === "line");
}
