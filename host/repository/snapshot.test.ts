import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { quotePath } from "../../proto/index.ts";
import { editRandomly, randomFrom } from "../../test/git/random-edits.ts";
import { digestDirectory } from "../../test/git/repository-digest.ts";
import { plainGit, restoreSnapshot } from "../../test/git/restored-snapshot.ts";
import { seedGroups } from "../../test/git/seeds.ts";
import { type Snapshot, type SnapshotOptions, takeSnapshot } from "./snapshot.ts";

const signal = new AbortController().signal;
let area: string;
let root: string;

beforeEach(() => {
  area = mkdtempSync(join(tmpdir(), "snapshot-"));
  root = join(area, "user");
  vi.stubEnv("GIT_CONFIG_GLOBAL", "/dev/null");
  vi.stubEnv("GIT_CONFIG_NOSYSTEM", "1");
});
afterEach(() => {
  rmSync(area, { recursive: true, force: true });
  vi.unstubAllEnvs();
});

const git = (...args: string[]): string => plainGit(root, args).toString();
const write = (path: string, content: string): void => {
  mkdirSync(join(root, path, ".."), { recursive: true });
  writeFileSync(join(root, path), Buffer.from(content, "latin1"));
};
const take = (options: Partial<SnapshotOptions> = {}): Promise<Snapshot> =>
  takeSnapshot({ path: root, storeDirectory: join(area, "store"), signal, ...options });

function makeRepository(...initArgs: string[]): void {
  execFileSync("git", ["init", "-q", "-b", "main", ...initArgs, root]);
  const files: Record<string, string> = {
    ".gitignore": "*.ignored\nout/\n",
    ".gitattributes": "*.txt text eol=crlf\n*.bin binary\n*.auto text=auto\n",
    "plain.txt": "one\ntwo\nthree\n",
    "dos.auto": "one\r\ntwo\r\n",
    "kept.ignored": "tracked although ignored\n",
    "data.bin": "\0\x01\x02\xff".repeat(200),
    "lib/a.ts": "export const a = 1;\n".repeat(40),
    "lib/b.ts": "export const b = 1;\n".repeat(40),
    "lib/deep/c.ts": "c\n",
    "dir/one": "1\n",
    "dir/two": "2\n",
    "run.sh": "#!/bin/sh\n",
    empty: "",
    "new\nline": "y\n",
    "-dash": "z\n",
  };
  for (const [path, content] of Object.entries(files)) write(path, content);
  chmodSync(join(root, "run.sh"), 0o755);
  symlinkSync("plain.txt", join(root, "link"));
  git("-c", "core.autocrlf=false", "add", "-f", "-A");
  git("commit", "-qm", "start");
}

/** Takes a snapshot, and sees that nothing of the user's was touched. */
async function takeUntouched(options: Partial<SnapshotOptions> = {}): Promise<Snapshot> {
  const before = digestDirectory(root);
  const snapshot = await take(options);
  expect(digestDirectory(root)).toEqual(before);
  return snapshot;
}

const STATUS = [
  "status",
  "--porcelain=v2",
  "-z",
  "--branch",
  "--untracked-files=all",
  "--no-ahead-behind",
  "--ignore-submodules=dirty",
];

/** Says how a repository made of the snapshot differs from the user's, but for what the receipt says was left out. */
function differences(snapshot: Snapshot, label: string): Record<string, unknown> {
  const inside = join(area, `inside-${label}`);
  restoreSnapshot(snapshot, inside);
  const leftOut = new Set(snapshot.receipt.leftOut.flatMap(({ kind, paths }) => (kind === "ignored" ? [] : paths)));
  const lines = (directory: string, args: readonly string[]): string[] =>
    plainGit(directory, args).toString("latin1").split("\0");
  const committed = snapshot.head === undefined ? [] : lines(root, ["ls-tree", "-r", "-z", "--name-only", "HEAD"]);
  const pathOf = (line: string): string => line.split(" ").slice(8).join(" ");
  // An intent to add what is gone again: there is nothing that could be said of it.
  const goneIntents = new Set(
    lines(root, STATUS)
      .filter((line) => line.startsWith("1 .D") && !committed.includes(pathOf(line)))
      .map(pathOf),
  );
  const states = [root, inside].map((directory) => ({
    head: readFileSync(join(directory, ".git/HEAD"), "utf8"),
    status: lines(directory, STATUS).filter(
      (line) =>
        !leftOut.has(quotePath(line.slice(2))) &&
        !leftOut.has(quotePath(pathOf(line))) &&
        !goneIntents.has(pathOf(line)),
    ),
    index: plainGit(directory, ["write-tree"]).toString(),
  }));
  rmSync(inside, { recursive: true });
  return { outside: states[0], inside: states[1] };
}

const ACTIONS: ((random: () => number) => void)[] = [
  () => git("add", "-A"),
  () => git("add", "-u"),
  () => git("add", "-A", "lib"),
  () => git("add", "-N", "."),
  () => git("rm", "-q", "-r", "--cached", "--ignore-unmatch", "lib"),
  () => git("commit", "-q", "--allow-empty", "-m", "more"),
  () => git("checkout", "-q", "--detach"),
  () => git("stash", "-q"),
  () => git("update-index", "--chmod=+x", "plain.txt"),
  () => git("reset", "-q", "HEAD~"),
  () => git("mv", "lib", "moved"),
  () => git("symbolic-ref", "HEAD", "refs/heads/not-yet"),
];

for (const seeds of seedGroups({ first: 1, last: 24, perGroup: 4 })) {
  test(`has inside what is outside, and touches nothing (seeds ${seeds[0]} to ${seeds.at(-1)})`, async () => {
    makeRepository();
    for (const seed of seeds) {
      const random = randomFrom(seed);
      for (let step = 0; step < 3; step++) {
        editRandomly(root, random, { spareGit: true });
        try {
          ACTIONS[Math.floor(random() * ACTIONS.length * 1.3)]?.(random);
        } catch {
          // Not everything can be done at any time.
        }
      }
      const snapshot = await takeUntouched();
      // The receipt does not name them all.
      if (snapshot.receipt.leftOut.some(({ kind, count, paths }) => kind !== "ignored" && count > paths.length))
        continue;
      const { outside, inside } = differences(snapshot, String(seed));
      expect(inside, `seed ${seed}`).toEqual(outside);
      expect(plainGit(join(area, "store"), ["for-each-ref"]).toString()).toBe("");
    }
  });
}

test("gives the same state the same ids, and keeps nothing of it but objects", async () => {
  makeRepository();
  write("lib/a.ts", "changed\n");
  write("new.txt", "new\n");
  git("add", "lib/a.ts");
  write("lib/a.ts", "changed again\n");
  const first = await takeUntouched();
  const again = await takeUntouched();
  const elsewhere = await takeUntouched({ storeDirectory: join(area, "other-store") });
  for (const other of [again, elsewhere]) {
    expect([other.index, other.tracked, other.untracked]).toEqual([first.index, first.tracked, first.untracked]);
  }
  expect(first).toMatchObject({ kind: "repository", root, subdirectory: "", branch: "refs/heads/main" });
  expect(first.receipt).toMatchObject({ staged: 1, changed: 1, untracked: 1, bytes: 18, leftOut: [], included: [] });
});

test("takes a repository from one of its directories, before its first commit, and with a detached HEAD", async () => {
  execFileSync("git", ["init", "-q", "-b", "main", root]);
  write("lib/new.txt", "new\n");
  git("add", ".");
  write("lib/other.txt", "other\n");
  const unborn = await takeUntouched({ path: join(root, "lib") });
  expect(unborn).toMatchObject({ root, subdirectory: "lib", head: undefined, branch: "refs/heads/main" });
  expect(unborn.receipt).toMatchObject({ staged: 1, changed: 0, untracked: 1 });
  const { outside, inside } = differences(unborn, "unborn");
  expect(inside).toEqual(outside);
  git("commit", "-qm", "first");
  git("checkout", "-q", "--detach");
  const detached = await takeUntouched();
  expect(detached).toMatchObject({ head: git("rev-parse", "HEAD").trim(), branch: undefined });
});

test("refuses what is no directory, has no files, or is in conflict", async () => {
  makeRepository();
  await expect(take({ path: join(area, "nowhere") })).rejects.toMatchObject({ reason: "REPOSITORY_PATH_NOT_FOUND" });
  await expect(take({ path: join(root, "plain.txt") })).rejects.toMatchObject({ reason: "REPOSITORY_PATH_INVALID" });
  execFileSync("git", ["init", "-q", "--bare", join(area, "bare.git")]);
  await expect(take({ path: join(area, "bare.git") })).rejects.toMatchObject({ reason: "REPOSITORY_PATH_INVALID" });
  git("checkout", "-q", "-b", "other");
  write("dir/one", "other\n");
  git("commit", "-qam", "other");
  git("checkout", "-q", "main");
  write("dir/one", "main\n");
  git("commit", "-qam", "main");
  expect(() => git("merge", "-q", "other")).toThrow();
  const before = digestDirectory(root);
  await expect(take()).rejects.toMatchObject({ reason: "REPOSITORY_UNMERGED", metadata: { files: "1" } });
  expect(digestDirectory(root)).toEqual(before);
});

test("leaves out what looks secret, is too large, or is a repository of its own, and says so", async () => {
  makeRepository();
  write(".env", "PASSWORD=1\n");
  write("config/.env.example", "PASSWORD=\n");
  write("big.bin", "x".repeat(2000));
  write("x.ignored", "");
  execFileSync("git", ["init", "-q", join(root, "nested")]);
  const { receipt } = await takeUntouched({ limits: { fileBytes: 1000 } });
  expect(receipt.untracked).toBe(1);
  expect(receipt.leftOut).toEqual([
    { kind: "ignored", count: 1, paths: ["x.ignored"] },
    { kind: "nestedRepository", count: 1, paths: ["nested/"] },
    { kind: "secret", count: 1, paths: [".env"] },
    { kind: "tooLarge", count: 1, paths: ["big.bin"] },
  ]);
});

test("takes what git was told to overlook as git says it is", async () => {
  makeRepository();
  git("update-index", "--assume-unchanged", "lib/a.ts");
  git("update-index", "--skip-worktree", "lib/b.ts", "dir/one");
  write("lib/a.ts", "a secret of this machine\n");
  rmSync(join(root, "dir/one"));
  const snapshot = await takeUntouched();
  const { outside, inside } = differences(snapshot, "overlooked");
  expect(inside).toEqual(outside);
  expect(snapshot.receipt).toMatchObject({ staged: 0, changed: 0 });
});
