import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { randomFrom } from "../../test/git/random-edits.ts";
import { workOnRandomly } from "../../test/git/random-state.ts";
import { digestDirectory } from "../../test/git/repository-digest.ts";
import { plainGit } from "../../test/git/restored-snapshot.ts";
import { seedGroups } from "../../test/git/seeds.ts";
import { readTree } from "../../test/git/tree-snapshot.ts";
import { makeUserDirectory, type UserDirectory } from "../../test/git/user-directory.ts";

let user: UserDirectory;

beforeEach(() => {
  user = makeUserDirectory();
});

/** What attributes say anywhere in the work tree. */
function listAttributes(): string {
  return JSON.stringify([...readTree(user.root)].filter(([path]) => path.endsWith(".gitattributes")));
}

for (const seeds of seedGroups({ first: 1, last: 20, perGroup: 2 })) {
  test(`has inside what is outside, and touches nothing (seeds ${seeds[0]} to ${seeds.at(-1)})`, async () => {
    user.makeRepository();
    const startAttributes = listAttributes();
    for (const seed of seeds) {
      const random = randomFrom(seed);
      workOnRandomly(user, random);
      const snapshot = await user.takeUntouched();
      // The receipt does not name them all.
      if (snapshot.receipt.leftOut.some(({ kind, count, paths }) => kind !== "ignored" && count > paths.length))
        continue;
      user.expectInside(snapshot, { content: listAttributes() === startAttributes });
      expect(plainGit(join(user.area, "store"), ["for-each-ref"]).toString()).toBe("");
    }
  });
}

test("gives the same state the same ids, and keeps nothing of it but objects", async () => {
  user.makeRepository();
  user.write("lib/a.ts", "changed\n");
  user.write("new.txt", "new\n");
  user.git("add", "lib/a.ts");
  user.write("lib/a.ts", "changed again\n");
  const first = await user.takeUntouched();
  const again = await user.takeUntouched();
  const elsewhere = await user.takeUntouched({ storeDirectory: join(user.area, "other-store") });
  for (const other of [again, elsewhere]) {
    expect([other.index, other.tracked, other.untracked]).toEqual([first.index, first.tracked, first.untracked]);
  }
  expect(first).toMatchObject({ kind: "repository", root: user.root, subdirectory: "", branch: "refs/heads/main" });
  expect(first.receipt).toMatchObject({ staged: 1, changed: 1, untracked: 1, bytes: 18, leftOut: [], included: [] });
});

test("takes a repository from one of its directories, before its first commit, and with a detached HEAD", async () => {
  execFileSync("git", ["init", "-q", "-b", "main", user.root]);
  user.write("lib/new.txt", "new\n");
  user.git("add", ".");
  user.write("lib/other.txt", "other\n");
  const unborn = await user.takeUntouched({ path: join(user.root, "lib") });
  expect(unborn).toMatchObject({ root: user.root, subdirectory: "lib", head: undefined, branch: "refs/heads/main" });
  expect(unborn.receipt).toMatchObject({ staged: 1, changed: 0, untracked: 1 });
  user.expectInside(unborn);
  user.git("commit", "-qm", "first");
  user.git("checkout", "-q", "--detach");
  const detached = await user.takeUntouched();
  expect(detached).toMatchObject({ head: user.git("rev-parse", "HEAD").trim(), branch: undefined });
});

test("refuses what is no directory, has no files, or is in conflict", async () => {
  user.makeRepository();
  await expect(user.take({ path: join(user.area, "nowhere") })).rejects.toMatchObject({
    reason: "REPOSITORY_PATH_NOT_FOUND",
  });
  await expect(user.take({ path: join(user.root, "plain.txt") })).rejects.toMatchObject({
    reason: "REPOSITORY_PATH_INVALID",
  });
  execFileSync("git", ["init", "-q", "--bare", join(user.area, "bare.git")]);
  await expect(user.take({ path: join(user.area, "bare.git") })).rejects.toMatchObject({
    reason: "REPOSITORY_PATH_INVALID",
  });
  user.git("checkout", "-q", "-b", "other");
  user.write("dir/one", "other\n");
  user.git("commit", "-qam", "other");
  user.git("checkout", "-q", "main");
  user.write("dir/one", "main\n");
  user.git("commit", "-qam", "main");
  expect(() => user.git("merge", "-q", "other")).toThrow();
  const before = digestDirectory(user.root);
  await expect(user.take()).rejects.toMatchObject({ reason: "REPOSITORY_UNMERGED", metadata: { files: "1" } });
  expect(digestDirectory(user.root)).toEqual(before);
});

test("leaves out what looks secret, is too large, or is a repository of its own, and says so", async () => {
  user.makeRepository();
  user.write(".env", "PASSWORD=1\n");
  user.write("config/.env.example", "PASSWORD=\n");
  user.write("big.bin", "x".repeat(2000));
  user.write("x.ignored", "");
  execFileSync("git", ["init", "-q", join(user.root, "nested")]);
  const { receipt } = await user.takeUntouched({ limits: { fileBytes: 1000 } });
  expect(receipt.untracked).toBe(1);
  expect(receipt.leftOut).toEqual([
    { kind: "ignored", count: 1, paths: ["x.ignored"] },
    { kind: "nestedRepository", count: 1, paths: ["nested/"] },
    { kind: "secret", count: 1, paths: [".env"] },
    { kind: "tooLarge", count: 1, paths: ["big.bin"] },
  ]);
});

test("leaves out a second time what is ignored or looks secret, also after it was named once", async () => {
  user.makeRepository();
  user.write(".env", "PASSWORD=1\n");
  user.write("x.ignored", "x\n");
  const named = await user.takeUntouched({ include: [".env", "x.ignored"] });
  expect(named.receipt.included).toEqual([".env", "x.ignored"]);
  user.write("lib/a.ts", "changed\n");
  for (const time of ["second", "third"]) {
    const again = await user.takeUntouched();
    const kinds = again.receipt.leftOut.map(({ kind, paths }) => [kind, ...paths]);
    expect(kinds, time).toEqual([
      ["ignored", "x.ignored"],
      ["secret", ".env"],
    ]);
    const list = ["ls-tree", "-r", "--name-only", again.untracked];
    const paths = plainGit(user.storeDirectory, list, undefined, again).toString().split("\n");
    expect(paths).toContain("lib/a.ts");
    expect(paths.filter((path) => [".env", "x.ignored"].includes(path))).toEqual([]);
  }
});

test("takes what git was told to overlook as git says it is", async () => {
  user.makeRepository();
  user.git("update-index", "--assume-unchanged", "lib/a.ts");
  user.git("update-index", "--skip-worktree", "lib/b.ts", "dir/one");
  user.write("lib/a.ts", "a secret of this machine\n");
  rmSync(join(user.root, "dir/one"));
  const snapshot = await user.takeUntouched();
  user.expectInside(snapshot, { files: false });
  expect(snapshot.receipt).toMatchObject({ staged: 0, changed: 0 });
});

test("the first snapshots of a repository may be taken at the same moment", async () => {
  user.makeRepository();
  const snapshots = await Promise.all(Array.from({ length: 30 }, () => user.take()));
  expect(new Set(snapshots.map(({ index }) => index)).size).toBe(1);
});
