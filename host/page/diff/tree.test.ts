import { expect, test } from "vitest";
import { parsePatch } from "./patch.ts";
import { buildTree, inTreeOrder, shownPath, treeRows } from "./tree.ts";

function filesOf(...paths: string[]) {
  const sections = paths.map((path) => {
    const header = path.startsWith('"')
      ? `diff --git "a/${path.slice(1)} "b/${path.slice(1)}`
      : `diff --git a/${path} b/${path}`;
    return `${header}\n@@ -1 +1,2 @@\n-a\n+b\n+c\n`;
  });
  return parsePatch(sections.join(""));
}

function lines(paths: string[], closed: string[] = []): string[] {
  return treeRows(buildTree(filesOf(...paths)), (key) => closed.includes(key)).map(
    ({ node, level, position, siblings, parent }) => {
      return `${"  ".repeat(level - 1)}${node.name} +${node.addedLines} -${node.deletedLines} ${position}/${siblings} ^${parent}`;
    },
  );
}

test("folders come first, have the counts of what they hold, and are folded together where they hold but one", () => {
  const paths = ["z.txt", "src/a/b/c10.ts", "src/a/b/c9.ts", "src/a/b/d/e/f.ts", "README.md"];
  expect(lines(paths)).toEqual([
    "src/a/b +6 -3 1/3 ^-1",
    "  d/e +2 -1 1/3 ^0",
    "    f.ts +2 -1 1/1 ^1",
    "  c9.ts +2 -1 2/3 ^0",
    "  c10.ts +2 -1 3/3 ^0",
    "README.md +2 -1 2/3 ^-1",
    "z.txt +2 -1 3/3 ^-1",
  ]);
  expect(lines(paths, ["src/a/b/"])).toHaveLength(3);
  expect(inTreeOrder(buildTree(filesOf(...paths))).map(({ path }) => path)).toEqual([
    "src/a/b/d/e/f.ts",
    "src/a/b/c9.ts",
    "src/a/b/c10.ts",
    "README.md",
    "z.txt",
  ]);
});

test("names are shown as they are meant, and what cannot be seen in them is written out", () => {
  expect(shownPath('"gr\\303\\266\\303\\237e/a\\tb\\nc"')).toBe("größe/a⟨U+0009⟩b⟨U+000A⟩c");
  expect(shownPath('"a\\342\\200\\256txt.exe"')).toBe("a⟨U+202E⟩txt.exe");
  expect(shownPath("<b>&amp;")).toBe("<b>&amp;");
  expect(lines(['"\\303\\266/__proto__"', "constructor"])).toHaveLength(3);
});
