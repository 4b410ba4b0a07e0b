import { expect, test } from "vitest";
import { Colors, shownLine } from "./highlight.ts";
import { languageOf, tokenize } from "./languages.ts";
import { parsePatch } from "./patch.ts";

function added(path: string, ...lines: string[]) {
  const body = lines.map((line) => `+${line}\n`).join("");
  return parsePatch(`diff --git a/${path} b/${path}\n@@ -0,0 +1,${lines.length} @@\n${body}`)[0]!;
}

const named = (path: string, ...lines: string[]) => {
  const file = added(path, ...lines);
  const colors = new Colors();
  return lines.map((_, at) =>
    colors.of(file, at).flatMap(({ text, name }) => (name === "" ? [] : [`${name}:${text}`])),
  );
};

test.each([
  ["src/a.ts", "typescript"],
  ["Dockerfile", "dockerfile"],
  ["Makefile", "makefile"],
  ['"gr\\303\\266.py"', "python"],
  ["a.unknown", undefined],
  ["constructor", undefined],
])("%s is of the language %s", (path, language) => {
  expect(languageOf(path)).toBe(language);
});

test("what spans lines has its color in each of them", () => {
  expect(named("a.ts", "/* one", "two */ const a = `x${b}`;")).toEqual([
    ["comment:/* one"],
    ["comment:two */", "keyword:const", "string:`x", "string:`"],
  ]);
});

test("the old lines and the new ones are read apart", () => {
  const patch = "diff --git a/a.ts b/a.ts\n@@ -1,2 +1,2 @@\n-/* open\n+const a = 1;\n const b = 2;\n";
  const [file] = parsePatch(patch);
  const colors = new Colors();
  expect(colors.of(file!, 0)).toEqual([{ text: "/* open", name: "comment" }]);
  expect(colors.of(file!, 2)[0]).toEqual({ text: "const", name: "keyword" });
});

test("every character of a line is in its tokens, and no markup", () => {
  const lines = ["<script>alert(1)</script> &amp; <b>", "\x1b[31m\u202e", "", "\tif (a < b && c > d) {"];
  for (const path of ["a.html", "a.md", "a.ts", "a.sh", "a.txt", "a.yaml"]) {
    const file = added(path, ...lines);
    const colors = new Colors();
    const texts = lines.map((_, at) =>
      colors
        .of(file, at)
        .map(({ text }) => text)
        .join(""),
    );
    expect(texts).toEqual([
      "<script>alert(1)</script> &amp; <b>",
      "⟨U+001B⟩[31m⟨U+202E⟩",
      "",
      "\tif (a < b && c > d) {",
    ]);
  }
});

test("lines that take long to read together have no colors from some length on", () => {
  const line = "a".repeat(1000);
  const file = added("a.cs", ...Array<string>(100).fill(line), "class A {}");
  const startMs = performance.now();
  const colors = new Colors();
  for (let at = 0; at < 101; at++) colors.of(file, at);
  expect(performance.now() - startMs).toBeLessThan(5_000);
  expect(colors.of(file, 99)).toEqual([{ text: line, name: "" }]);
  expect(colors.of(file, 100)[0]).toEqual({ text: "class", name: "keyword" });
});

test("long lines are cut and have no colors, and those after them have", () => {
  const long = "x".repeat(10_000_000);
  const file = added("a.ts", long, "const a = 1;\r");
  expect(shownLine(file, 0).cut).toBe(10_000_000 - 2000);
  expect(new Colors().of(file, 0)).toEqual([{ text: long.slice(0, 2000), name: "" }]);
  expect(new Colors().of(file, 1)[0]).toEqual({ text: "const", name: "keyword" });
});

test("an end of a line that other systems have does not change the number of lines", () => {
  expect(tokenize(["a", "", "b"], "typescript")).toHaveLength(3);
});
