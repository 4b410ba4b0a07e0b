import { expect, test } from "vitest";
import { FileChange_Kind } from "./gen/claudecluster/session/v1alpha1/session_result_pb.ts";
import { pieces } from "./artifacts.ts";
import { findPatchMismatch } from "./patch-check.ts";

type Listed = [kind: keyof typeof FileChange_Kind, path: string, previousPath?: string];

function check(patch: string, ...listed: Listed[]): Promise<string | undefined> {
  const changes = listed.map(([kind, path, previousPath = ""]) => ({
    kind: FileChange_Kind[kind],
    path,
    previousPath,
  }));
  return findPatchMismatch(pieces(Buffer.from(patch, "latin1")), { changes, changeCount: changes.length });
}

const edit = (a: string, b = a) =>
  `diff --git ${a} ${b}\nindex 1..2 100644\n--- ${a}\n+++ ${b}\n@@ -1,2 +1 @@\n-x\n y\n`;
const A = edit("a/a", "b/a");

// As git 2.39.5 writes them, ids and contents shortened.
test.each<[string, string, Listed[]]>([
  ["an edit", A, [["MODIFIED", "a"]]],
  ["a quoted name", edit('"a/\\303\\274"', '"b/\\303\\274"'), [["MODIFIED", '"\\303\\274"']]],
  [
    "a name with a space",
    "diff --git a/s p b/s p\nindex 1..2 100644\n--- a/s p\t\n+++ b/s p\t\n@@ -1 +1 @@\n-x\n+y\n",
    [["MODIFIED", "s p"]],
  ],
  [
    "no line end at the end",
    "diff --git a/a b/a\nindex 1..2 100644\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+y\n\\ No newline at end of file\n",
    [["MODIFIED", "a"]],
  ],
  ["a mode", "diff --git a/a b/a\nold mode 100644\nnew mode 100755\n", [["MODE_CHANGED", "a"]]],
  ["an empty new file", "diff --git a/a b/a\nnew file mode 100644\nindex 000..e69\n", [["ADDED", "a"]]],
  ["a renaming", "diff --git a/a b/b\nsimilarity index 100%\nrename from a\nrename to b\n", [["RENAMED", "b", "a"]]],
  [
    "a change of type",
    "diff --git a/a b/a\ndeleted file mode 100644\nindex 1..0\n--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\ndiff --git a/a b/a\nnew file mode 120000\nindex 0..1\n--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n",
    [["MODIFIED", "a"]],
  ],
  [
    "binary content",
    "diff --git a/a b/a\nindex 1..2 100644\nGIT binary patch\ndelta 9\nzcmZ\n\nliteral 0\nHcmV?d00001\n\n",
    [["MODIFIED", "a"]],
  ],
])("takes %s for what it is", async (_, patch, listed) => {
  expect(await check(patch, ...listed)).toBe(undefined);
  expect(await check(patch + A.replaceAll("/a", "/z"), ...listed, ["MODIFIED", "z"])).toBe(undefined);
  expect(await check(patch + A.replaceAll("/a", "/z"), ...listed)).toMatch(/the patch has 2 files, its list 1/);
});

test.each<[string, string, Listed]>([
  ["another name", A, ["MODIFIED", "b"]],
  ["another name over its lines", A.replace("+++ b/a", "+++ b/evil"), ["MODIFIED", "a"]],
  ["another old name over its lines", A.replace("--- a/a", "--- a/evil"), ["MODIFIED", "a"]],
  [
    "a renaming to elsewhere",
    "diff --git a/a b/b\nsimilarity index 100%\nrename from a\nrename to evil b\n",
    ["RENAMED", "b", "a"],
  ],
  [
    "a renaming that is none to the list",
    "diff --git a/a b/a\nsimilarity index 100%\nrename from a\nrename to a\n",
    ["MODIFIED", "a"],
  ],
  ["a copy", "diff --git a/a b/b\nsimilarity index 100%\ncopy from a\ncopy to b\n", ["ADDED", "b"]],
  [
    "a new file that the list calls an edit",
    "diff --git a/a b/a\nnew file mode 100644\nindex 0..1\n",
    ["MODIFIED", "a"],
  ],
  ["a second file behind its lines", `${A}--- /dev/null\n+++ b/evil\n@@ -0,0 +1 @@\n+x\n`, ["MODIFIED", "a"]],
  [
    "a second file behind its binary content",
    `diff --git a/a b/a\nindex 1..2 100644\nGIT binary patch\ndelta 9\nzcmZ\n\nliteral 0\nHcmV\n\n--- /dev/null\n+++ b/evil\n@@ -0,0 +1 @@\n+x\n`,
    ["MODIFIED", "a"],
  ],
  ["an old-style file before it", `--- /dev/null\n+++ b/evil\n@@ -0,0 +1 @@\n+x\n${A}`, ["MODIFIED", "a"]],
  ["lines that are too few", A.replace(" y\n", ""), ["MODIFIED", "a"]],
  ["a line without a mark", A.replace(" y\n", "y\n"), ["MODIFIED", "a"]],
  ["an end in the middle of a line", A.slice(0, -1), ["MODIFIED", "a"]],
  ["something between its headers", A.replace("--- a/a", "Index: evil\n--- a/a"), ["MODIFIED", "a"]],
])("refuses %s", async (_, patch, listed) => {
  expect(await check(patch, listed)).toMatch(/^file [12] of the patch/);
});

test("holds what a cut list has against the first files, and counts the others", async () => {
  const patch = Buffer.from(A + A.replaceAll("/a", "/b") + A.replaceAll("/a", "/c"));
  const changes = [{ kind: FileChange_Kind.MODIFIED, path: "a", previousPath: "" }];
  expect(await findPatchMismatch(pieces(patch), { changes, changeCount: 3 })).toBe(undefined);
  expect(await findPatchMismatch(pieces(patch), { changes, changeCount: 2 })).toMatch(/3 files, its list 2/);
});

test("lets others have their turn while it reads a large patch", async () => {
  const patch = Buffer.from(A.repeat(200_000));
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  await findPatchMismatch(pieces(patch), { changes: [], changeCount: 0 });
  clearInterval(timer);
  expect(turns).toBeGreaterThan(5);
});

test("reads what comes byte by byte as it reads the whole", async () => {
  const long = `diff --git a/long b/long\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ b/long\n@@ -0,0 +1 @@\n+${"x".repeat(1_000_000)}\n`;
  const listed = {
    changes: [
      { kind: FileChange_Kind.MODIFIED, path: "a", previousPath: "" },
      { kind: FileChange_Kind.ADDED, path: "long", previousPath: "" },
    ],
    changeCount: 2,
  };
  const inBytes = function* (patch: string) {
    for (const byte of Buffer.from(patch)) yield Uint8Array.of(byte);
  };
  expect(await findPatchMismatch(inBytes(A + long.slice(0, 200) + long.slice(-200)), listed)).toBe(undefined);
  expect(await findPatchMismatch(inBytes(A + long.slice(0, 200)), listed)).toMatch(/file 2 of the patch: it ends/);
  // A line is never held, however long it is.
  expect(await findPatchMismatch(pieces(Buffer.from(A + long)), listed)).toBe(undefined);
});
