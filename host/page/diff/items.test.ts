import { expect, test } from "vitest";
import { parsePatch } from "./patch.ts";
import { isEnd, isLike, linesOf, withComments } from "./items.ts";
import { makeRows } from "./rows.ts";

const PATCH = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n same\n-old\n+new\n";

const rowsOf = (patch: string) => {
  const files = parsePatch(new TextEncoder().encode(patch));
  return makeRows(files, { sideBySide: false, isOpen: () => true });
};
const on = (side: "old" | "new", to: number, id = "1") => ({ id, path: "f", side, from: to, to, quote: [], text: "x" });

test("comments stand below the line that they end on, on its side, the one that is being written once and last", () => {
  const rows = rowsOf(PATCH);
  const [old, added] = [on("old", 2), on("new", 2, "2")];
  const draft = { ...added, text: "y" };
  const below = (comments: (typeof old)[], written?: typeof old) =>
    rows.flatMap((row) => withComments(row, comments, written)).map(({ kind }) => kind);
  expect(below([old])).toEqual(["file", "hunk", "line", "line", "comment", "line"]);
  expect(below([added])).toEqual(["file", "hunk", "line", "line", "line", "comment"]);
  expect(below([old, added], draft)).toEqual(["file", "hunk", "line", "line", "comment", "line", "draft"]);
  expect(rows.findIndex((row) => isEnd(row, { ...added, path: "other" }))).toBe(-1);
});

test("a line is known again in a later state of its file, and no other", () => {
  const [before, after] = [linesOf(rowsOf(PATCH)), rowsOf(PATCH.replace("+new", "+newer"))];
  for (const line of before) {
    const like = after.filter((item) => isLike(item, line));
    expect(like).toMatchObject([{ oldNumber: line.oldNumber, newNumber: line.newNumber }]);
  }
  expect(rowsOf(PATCH.replaceAll("f", "g")).some((item) => isLike(item, before[0]!))).toBe(false);
});
