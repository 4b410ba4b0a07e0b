import { expect, test } from "vitest";
import { parsePatch } from "./patch.ts";
import { counterpart, makeRows, type Row } from "./rows.ts";
import { changedWords } from "./words.ts";

const PATCH = `diff --git a/a b/a
--- a/a
+++ b/a
@@ -5,6 +5,7 @@ function f()
 same
-old 1
-old 2
+new 1
+new 2
+new 3
 same
-last
\\ No newline at end of file
+last
@@ -90 +91,0 @@
-gone
`;

function text(row: Row): string {
  if (row.kind === "note") return row.text;
  if (row.kind !== "line") return row.kind;
  const { file, at, beside, oldNumber, newNumber } = row;
  const line = (place: number) => (place === -1 ? "" : file.lines[place]);
  return `${oldNumber} ${newNumber} ${line(at)}${beside === undefined ? "" : ` | ${line(beside)}`}`;
}

const rows = (patch: string, sideBySide: boolean, isOpen = true) =>
  makeRows(parsePatch(patch), { sideBySide, isOpen: () => isOpen }).map(text);

test("lines stand one below the other, with their numbers", () => {
  expect(rows(PATCH, false)).toEqual([
    "file",
    "hunk",
    "5 5  same",
    "6 0 -old 1",
    "7 0 -old 2",
    "0 6 +new 1",
    "0 7 +new 2",
    "0 8 +new 3",
    "8 9  same",
    "9 0 -last",
    "0 0 \\ No newline at end of file",
    "0 10 +last",
    "hunk",
    "90 0 -gone",
  ]);
});

test("or the old ones beside the new ones", () => {
  expect(rows(PATCH, true)).toEqual([
    "file",
    "hunk",
    "5 5  same |  same",
    "6 6 -old 1 | +new 1",
    "7 7 -old 2 | +new 2",
    "0 8  | +new 3",
    "8 9  same |  same",
    "9 10 -last | +last",
    "0 0 \\ No newline at end of file | ",
    "hunk",
    "90 0 -gone | ",
  ]);
});

test("what has no lines, or too many, is summed up", () => {
  const many = Array.from({ length: 3000 }, () => "+a\n").join("");
  expect(rows(`diff --git a/a b/a\n@@ -0,0 +1,3000 @@\n${many}`, false, false)).toEqual(["file", "more"]);
  expect(rows("diff --git a/a b/a\nnew file mode 100644\n", false)).toEqual(["file", "An empty file."]);
  expect(rows("diff --git a/a b/a\nold mode 100644\nnew mode 100755\n", false)).toEqual([
    "file",
    "Only its mode has changed.",
  ]);
  expect(rows("diff --git a/a b/a\nnew file mode 100644\nGIT binary patch\nliteral 5\nMcmZ\n\n", false)).toEqual([
    "file",
    "Binary file, 5 bytes now.",
  ]);
});

test("lines that took each other's place are known where there are as many", () => {
  const [file] = parsePatch("diff --git a/a b/a\n@@ -1,3 +1,3 @@\n-a\n-b\n+c\n+d\n e\n");
  expect([0, 1, 2, 3, 4].map((at) => counterpart(file!, at))).toEqual([2, 3, 0, 1, -1]);
  expect(counterpart(parsePatch(PATCH)[0]!, 1)).toBe(-1);
});

test("of two lines the words that differ are known", () => {
  const between = (old: string, made: string) => {
    const spans = changedWords(old, made);
    return spans && [old.slice(spans.old.from, spans.old.to), made.slice(spans.made.from, spans.made.to)];
  };
  expect(between("const value = read(file);", "const values = read(file);")).toEqual(["value", "values"]);
  expect(between("return a;", "return a + b;")).toEqual(["", " + b"]);
  expect(between("aaa", "aaa aaa")).toEqual(["", " aaa"]);
  expect(between("nothing alike", "a whole other thing")).toBeUndefined();
  expect(between("same", "same")).toBeUndefined();
  expect(between("say 👩", "say 👨")).toEqual(["👩", "👨"]);
});
