import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { applyIn, undoIn } from "../../test/git/apply-in.ts";
import type { Files } from "../../test/git/random-trees.ts";
import { UserArea } from "../../test/git/user-area.ts";
import { takeSnapshot } from "./snapshot.ts";

const START: Files = new Map(
  Object.entries({
    ".gitattributes": "*.txt text eol=crlf\n",
    "a.txt": "one\r\ntwo\r\n",
    "lib/.gitattributes": "*.log text eol=crlf\n",
    "lib/b.log": "one\r\ntwo\r\n",
  }).map(([path, content]) => [path, { mode: "100644", content }]),
);
const SEEN_BEFORE = new Date(Date.UTC(2020, 0, 1));
let area: UserArea;

beforeEach(() => {
  area = new UserArea(START);
});
afterEach(() => area[Symbol.dispose]());

const at = (path: string) => join(area.directory, path);
const read = (path: string) => readFileSync(at(path), "utf8");

/** The session's files: what git has of the start, with a third line in both. */
function edited(more: Record<string, string> = {}): Files {
  const files = new Map([...START].map(([path, { content }]) => [path, content.replaceAll("\r", "")]));
  for (const path of ["a.txt", "lib/b.log"]) files.set(path, `${files.get(path)}three\n`);
  return new Map(
    [...files, ...Object.entries(more)].map(([path, content]) => [path, { mode: "100644" as const, content }]),
  );
}

const CASES: Record<string, { work: () => void; wanted?: string }> = {
  "are gone, and still staged": {
    work: () => {
      rmSync(at(".gitattributes"));
      rmSync(at("lib/.gitattributes"));
    },
  },
  "are a link": {
    work: () => {
      rmSync(at(".gitattributes"));
      symlinkSync("a.txt", at(".gitattributes"));
    },
  },
  "have changed since git last read the files": {
    work: () => {
      for (const path of ["a.txt", "lib/b.log"]) utimesSync(at(path), SEEN_BEFORE, SEEN_BEFORE);
      area.git("update-index", "--refresh");
      writeFileSync(at(".gitattributes"), "* -text\n");
      rmSync(at("lib/.gitattributes"));
    },
  },
  "are ignored": {
    work: () => {
      area.git("rm", "-q", "--cached", ".gitattributes", "lib/.gitattributes");
      area.git("commit", "-qm", "without");
      writeFileSync(at(".git/info/exclude"), ".gitattributes\n");
    },
    wanted: "one\r\ntwo\r\nthree\r\n",
  },
};

for (const [what, { work, wanted = "one\ntwo\nthree\n" }] of Object.entries(CASES)) {
  test(`applies to files whose attributes ${what}`, async () => {
    const session = area.changes(area.head, edited());
    work();
    const before = area.state();
    await applyIn(area, session);
    expect(read("a.txt")).toBe(wanted);
    await undoIn(area);
    expect(area.state()).toEqual(before);
  });
}

test("applies to files beside a directory named .gitattributes, which git reads as no attributes", async () => {
  rmSync(at(".gitattributes"));
  mkdirSync(at(".gitattributes"));
  writeFileSync(at("a.txt"), "1\r\n2\r\n");
  const storeDirectory = join(area.top, "store");
  const snapshot = await takeSnapshot({ path: area.directory, storeDirectory, signal: new AbortController().signal });
  area.borrowed = join(storeDirectory, "objects");
  const result = edited({ "a.txt": "1\r\n2\r\n3\r\n" });
  result.delete(".gitattributes");
  const session = area.changes(snapshot.untracked, result);
  area.borrowed = "";
  await applyIn(area, session, { startStores: [join(storeDirectory, "objects")] });
  expect(read("a.txt")).toBe("1\r\n2\r\n3\r\n");
});

test("tells what was changed of a file that git is told to overlook, and leaves it", async () => {
  const session = area.changes(area.head, edited());
  for (const bit of ["assume-unchanged", "skip-worktree"]) {
    writeFileSync(at("a.txt"), "mine\r\n");
    area.git("update-index", `--${bit}`, "a.txt");
    await expect(applyIn(area, session)).rejects.toMatchObject({
      reason: "APPLY_BLOCKED",
      message: expect.stringContaining("a.txt is changed, and your git is told to overlook that"),
    });
    expect(read("a.txt")).toBe("mine\r\n");
    area.git("update-index", `--no-${bit}`, "a.txt");
    area.git("checkout", "-q", "a.txt");
  }
});

test("names a file that the user's git cannot take in, and leaves it", async () => {
  const session = area.changes(area.head, edited({ "lib/.gitattributes": "*.log text\n" }));
  writeFileSync(at("lib/.gitattributes"), "* working-tree-encoding=UTF-16\n");
  await expect(applyIn(area, session)).rejects.toMatchObject({
    reason: "APPLY_BLOCKED",
    message: expect.stringMatching(/lib\/\.gitattributes are nothing that your git can take in/),
  });
  expect(read("lib/.gitattributes")).toBe("* working-tree-encoding=UTF-16\n");
  expect(existsSync(area.undoDirectory)).toBe(true);
});
