import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readablePatch } from "./patch-names.ts";
import { listPatchFiles, PAGE_BYTES, readPatchPage } from "./patch-pages.ts";

const LONG = Array.from({ length: 4000 }, (_, at) => `line ${at} größe`).join("\n");

/** A patch as git makes it, of all kinds of changes. */
const PATCH = (() => {
  const root = mkdtempSync(join(tmpdir(), "patch-pages-"));
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd: root });
  const write = (name: string, text: string | Buffer) => writeFileSync(join(root, name), text);
  try {
    git("init", "-q");
    mkdirSync(join(root, "a b"));
    write("a b/old name.txt", "one\ntwo\nthree\nfour\n");
    write("gone.txt", "+++ b/x\n--- a/x\ndiff --git a/q b/q\n");
    write("mode.sh", "#!/bin/sh\n");
    write("lines.txt", "diff --git a/q b/q\nb\n");
    git("add", "-A");
    git("commit", "-qm", "first");
    git("mv", "a b/old name.txt", "a b/new größe.txt");
    rmSync(join(root, "gone.txt"));
    chmodSync(join(root, "mode.sh"), 0o755);
    write("lines.txt", "b\n++ c\n-- d\ndiff --git a/z b/z\n");
    write("empty.txt", "");
    write("long.txt", LONG);
    write("one-line.js", "x".repeat(100_000));
    write("picture.bin", Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * 7919) % 256)));
    git("add", "-A");
    return git("diff", "--cached", "--binary", "-M", "HEAD");
  } finally {
    rmSync(root, { recursive: true });
  }
})();

/** The patch in pieces that end anywhere. */
async function* inPieces(size: number) {
  for (let at = 0; at < PATCH.length; at += size) yield PATCH.subarray(at, at + size);
}

test.each([1, 7, 4096, 1_000_000])("lists each file of a patch that comes in pieces of %i bytes", async (size) => {
  const none = { added_lines: 0, deleted_lines: 0 };
  expect(await listPatchFiles(inPieces(size))).toEqual([
    { path: "a b/new größe.txt", kind: "renamed", ...none },
    { path: "empty.txt", kind: "added", ...none },
    { path: "gone.txt", kind: "deleted", added_lines: 0, deleted_lines: 3 },
    { path: "lines.txt", kind: "modified", added_lines: 3, deleted_lines: 1 },
    { path: "long.txt", kind: "added", added_lines: 4000, deleted_lines: 0 },
    { path: "mode.sh", kind: "modified", ...none },
    { path: "one-line.js", kind: "added", added_lines: 1, deleted_lines: 0 },
    { path: "picture.bin", kind: "added", binary: true, ...none },
  ]);
});

test.each(["long.txt", "one-line.js", "lines.txt", "gone.txt", "a b/new größe.txt", "mode.sh", "empty.txt"])(
  "the pages of %s are its diff, whole",
  async (path) => {
    const first = await readPatchPage(inPieces(5000), { path, page: 1 });
    const texts = [first.text];
    for (let page = 2; page <= first.page_count; page++) {
      texts.push((await readPatchPage(inPieces(999), { path, page })).text);
    }
    for (const text of texts) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(PAGE_BYTES);
    expect(readablePatch(PATCH.toString())).toContain(texts.join(""));
    expect(texts.join("")).toMatch(/^diff --git [^]*\n$/);
    if (path === "long.txt") expect(texts.join("").match(/^\+line/gm)).toHaveLength(4000);
  },
);

test("of a binary file there is the header alone, and a name that is wrong is answered with the most similar one", async () => {
  const { text } = await readPatchPage(inPieces(4096), { path: "picture.bin", page: 1 });
  expect(text).toMatch(/^diff --git a\/picture\.bin b\/picture\.bin\n[^]*GIT binary patch\n$/);
  await expect(readPatchPage(inPieces(4096), { path: "src/long.txt", page: 1 })).rejects.toMatchObject({
    reason: "CHANGE_NOT_FOUND",
    help: 'Did you mean "long.txt"? read_changes without path lists the files.',
  });
  await expect(readPatchPage(inPieces(4096), { path: "gone.txt", page: 2 })).rejects.toMatchObject({
    reason: "LIMIT_INVALID",
  });
});
