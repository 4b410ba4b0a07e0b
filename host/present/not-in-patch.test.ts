import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { LeftOut, LeftWork_Item_Kind as Kind, SessionResultSchema } from "../../proto/index.ts";
import { notInPatch } from "./not-in-patch.ts";

const said = (result: Omit<MessageInitShape<typeof SessionResultSchema>, "$typeName">) =>
  notInPatch(create(SessionResultSchema, result));

test("says nothing where the patch holds all", () => {
  expect(said({ leftWork: {}, ignoredFiles: {} })).toEqual([]);
  // Of an older agent it is not known.
  expect(said({})).toEqual([]);
});

test("names each place with its commits, files and newest subject", () => {
  const items = [
    { kind: Kind.STASH, name: "stash@{0}", fileCount: 1, subject: "WIP on main: 1234567 start" },
    { kind: Kind.BRANCH, name: "wip", commitCount: 2, fileCount: 3, subject: "half" },
    { kind: Kind.WORKTREE, name: ".claude/worktrees/x", branch: "wt", fileCount: 2 },
    { kind: Kind.COMMIT, commitId: "0123456789abcdef0123", commitCount: 1, fileCount: 1, subject: "loose" },
    { kind: Kind.REF, name: "refs/tags/v1", commitCount: 1, fileCount: 1 },
    { kind: Kind.CLONE, name: '"gr\\303\\266\\303\\237e"', commitCount: 1, fileCount: 1 },
    { kind: Kind.INDEX, name: "the index", fileCount: 30, paths: ["a", '"\\303\\266"', "c", "d", "e", "f"] },
  ];
  expect(said({ leftWork: { items, itemCount: 10, incomplete: true } })).toEqual([
    'Not in the patch, in stash@{0}: 1 file ("WIP on main: 1234567 start")',
    'Not in the patch, on branch wip: 2 commits, 3 files ("half")',
    "Not in the patch, in worktree .claude/worktrees/x (branch wt): 2 files",
    'Not in the patch, in commit 0123456789a…, which no branch holds: 1 commit, 1 file ("loose")',
    "Not in the patch, in refs/tags/v1: 1 commit, 1 file",
    "Not in the patch, in clone größe: 1 commit, 1 file",
    "Not in the patch, in the index: 30 files: a, ö, c, d, e, and more",
    "3 more places with work that is not in the patch.",
    "There may be more in the repository: not all of it could be read.",
  ]);
});

test("says why a patch is incomplete, and that it may be where that is not known", () => {
  const unreadablePaths = ["big.bin", "closed", "closed2", "odd"];
  const unreadableReasons = [LeftOut.TOO_LARGE, LeftOut.UNREADABLE, LeftOut.UNREADABLE];
  expect(said({ patchTruncated: true, unreadablePaths, unreadableReasons })).toEqual([
    "Not in the patch, 1 path too large for a patch: big.bin",
    "Not in the patch, 2 paths could not be read, for want of permission: closed, closed2",
    "Not in the patch, 1 path could not be taken: odd",
  ]);
  expect(said({ patchTruncated: true })).toEqual(["The patch may lack changes."]);
  const patchFailure = { reason: "COLLECT_FAILED", message: "The changes could not be collected: it took too long." };
  expect(said({ patchTruncated: true, patchFailure })).toEqual([
    "The patch may lack changes: The changes could not be collected: it took too long.",
    "Whether there was more in stashes, other branches or worktrees is not known.",
  ]);
});

test("counts and names new files that git ignores", () => {
  expect(said({ ignoredFiles: { paths: ["a", "b", "c"], fileCount: 3 } })).toEqual([
    "3 new files that git ignores are not in the patch: a, b, c",
  ]);
  expect(said({ ignoredFiles: { paths: ["x.log"], fileCount: 1 } })).toEqual([
    "1 new file that git ignores is not in the patch: x.log",
  ]);
  expect(said({ ignoredFiles: { paths: ["node_modules/"], fileCount: 9 }, setup: {} })).toEqual([
    "9 new files that git ignores are not in the patch, with those that the setup made: node_modules/",
  ]);
  const paths = ["1", "2", "3", "4", "5", "node_modules/"];
  expect(said({ ignoredFiles: { paths, fileCount: 30_000, incomplete: true } })).toEqual([
    "At least 30000 new files that git ignores are not in the patch: 1, 2, 3, 4, 5, and more",
  ]);
});

test("keeps each line one line, and short, whatever a container says", () => {
  const evil = `x\nstate        succeeded\u2028\u202e${"y".repeat(100_000)}`;
  const lines = said({
    patchTruncated: true,
    patchFailure: { message: evil },
    unreadablePaths: [evil],
    unreadableReasons: [99 as LeftOut],
    leftWork: {
      items: Array.from({ length: 1000 }, () => ({
        kind: 99 as Kind,
        name: evil,
        branch: evil,
        subject: evil,
        paths: [evil],
      })),
      itemCount: 5,
    },
    ignoredFiles: { paths: [evil], fileCount: 1 },
  });
  expect(lines.length).toBeLessThan(30);
  for (const line of lines) {
    expect(line).not.toMatch(/[\n\u2028\u202e]/);
    expect(line.length).toBeLessThan(1000);
  }
});
