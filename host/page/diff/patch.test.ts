import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { parsePatch, PatchParser } from "./patch.ts";

const directory = mkdtempSync(join(tmpdir(), "patch-"));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function git(...args: string[]): Buffer {
  const identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"];
  return execFileSync("git", ["-C", directory, ...identity, ...args], { maxBuffer: 1 << 28 });
}

function write(path: string, content: string | Buffer): void {
  writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, "latin1")]), content);
}

test("what git itself writes is read: every kind of change, in every kind of name", () => {
  git("init", "-q");
  const many = Array.from({ length: 40 }, (_, at) => `line ${at}\n`).join("");
  for (const name of ["renamed", "copied", "mode", "gone", "type", "same"]) write(name, `${name}\n${many}`);
  write("binary", Buffer.from([0, 1, 2]));
  write("edges", `no end`);
  write("crlf", "a\r\nb\r\n");
  git("add", ".");
  git("commit", "-qm", "start");
  renameSync(join(directory, "renamed"), join(directory, "moved here"));
  write("copy", `copied\n${many}`);
  write("copied", `copied!\n${many}`);
  chmodSync(join(directory, "mode"), 0o755);
  rmSync(join(directory, "gone"));
  rmSync(join(directory, "type"));
  symlinkSync("same", join(directory, "type"));
  write("binary", Buffer.from([0, 1, 2, 3, 4]));
  write("edges", "an end\n");
  write("crlf", "a\r\nc\r\n");
  write("empty", "");
  write('gr\xc3\xb6\xc3\x9fe "q"\t\\.txt', "x");
  write("not \xff utf-8", "y\n");
  write("same", `same\n${many}`.replace("line 3\n", "line three\n").replace("line 30\n", ""));
  write("long", `${"x".repeat(1_000_000)}\n`);
  const id = "1234567890123456789012345678901234567890";
  git("update-index", "--add", "--cacheinfo", `160000,${id},sub`);
  git("add", "--ignore-removal", ":!sub", ".");
  git("add", "-u", ":!sub");
  const patch = git("diff", "--cached", "--binary", "--full-index", "-M", "-C", "HEAD");

  const files = new Map(parsePatch(patch).map((file) => [file.path, file]));
  const facts = [...files.values()].map(({ path, previousPath, kind, addedLines, deletedLines }) => {
    return [path, kind, previousPath, addedLines, deletedLines].join("|");
  });
  expect(facts.sort()).toEqual(
    [
      "binary|modified||0|0",
      "copied|modified||1|1",
      "copy|copied|copied|0|0",
      "crlf|modified||1|1",
      "edges|modified||1|1",
      "empty|added||0|0",
      "gone|deleted||0|41",
      '"gr\\303\\266\\303\\237e \\"q\\"\\t\\\\.txt"|added||1|0',
      "long|added||1|0",
      "mode|modified||0|0",
      "moved here|renamed|renamed|0|0",
      '"not \\377 utf-8"|added||1|0',
      "same|modified||1|2",
      "sub|added||1|0",
      "type|modified||1|41",
    ].sort(),
  );
  expect(files.get("mode")).toMatchObject({ oldMode: "100644", newMode: "100755" });
  expect(files.get("binary")).toMatchObject({ binary: true, sizeBytes: 5 });
  expect(files.get("sub")).toMatchObject({ newMode: "160000", lines: [`+Subproject commit ${id}`] });
  expect(files.get("type")).toMatchObject({ oldMode: "100644", newMode: "120000" });
  expect(files.get("edges")!.lines).toEqual(["-no end", "\\ No newline at end of file", "+an end"]);
  expect(files.get("crlf")!.lines).toEqual([" a\r", "-b\r", "+c\r"]);
  expect(files.get("long")!.lines[0]).toHaveLength(1_000_001);
  const { hunks, lines } = files.get("same")!;
  expect(hunks).toMatchObject([
    { oldStart: 2, newStart: 2, from: 0, to: 8 },
    { oldStart: 29, newStart: 29, from: 8, to: 15 },
  ]);
  expect(lines.slice(3, 5)).toEqual(["-line 3", "+line three"]);

  // The same, however the bytes come.
  const parser = new PatchParser();
  for (let at = 0; at < patch.length; at += at < 5000 ? 1 : 4096) {
    parser.push(patch.subarray(at, at + (at < 5000 ? 1 : 4096)));
  }
  expect(parser.end()).toEqual([...files.values()]);
});

test("a line of a hunk is never a header, whatever it says", () => {
  const patch = `diff --git a/a b/a
--- a/a
+++ b/a
@@ -1,2 +1,5 @@ heading
 diff --git a/x b/x
--- a/old
+++ b/new
+@@ -1 +1 @@
+GIT binary patch
+rename to evil

diff --git a/b b/b
new file mode 100644
`;
  const [first, second, ...more] = parsePatch(patch);
  expect(more).toEqual([]);
  expect(first).toMatchObject({ path: "a", addedLines: 4, deletedLines: 1, binary: false });
  expect(first!.lines).toHaveLength(6);
  expect(second).toMatchObject({ path: "b", kind: "added" });
});

test.each([
  ["nothing", "", 0],
  ["no patch", "hello\n@@ -1 +1 @@\n+a\n", 0],
  ["half a header", "diff --git", 0],
  ["a header without names", "diff --git \n", 1],
  ["a hunk that ends early", "diff --git a/a b/a\n@@ -1,9 +1,9 @@\n a\ndiff --git a/b b/b\n", 2],
  ["a hunk of another length", "diff --git a/a b/a\n@@ -1 +1 @@\n+a\n+b\n+c\n-d\n", 1],
  ["huge numbers", "diff --git a/a b/a\n@@ -99999999999999999999 +1,99999999999999999999 @@\n+a\n", 1],
  ["an endless quote", 'diff --git "a/\\\\\\" b/a\nrename to "\\\n', 1],
  ["names of the language", "diff --git a/__proto__ b/__proto__\n--- a/__proto__\n+++ b/__proto__\n", 1],
])("%s is no reason to throw", (_, patch, count) => {
  expect(parsePatch(patch)).toHaveLength(count);
});

test("what is too large is counted and left out", () => {
  const parser = new PatchParser({ maxChars: 20 });
  const lines = Array.from({ length: 100 }, () => "+0123456789\n").join("");
  parser.push(new TextEncoder().encode(`diff --git a/a b/a\n@@ -0,0 +1,100 @@\n${lines}`));
  expect(parser.end()).toMatchObject([{ addedLines: 100, lines: ["+0123456789"], cut: true }]);
});
