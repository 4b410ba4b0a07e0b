import fs, { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { applyIn, branchIn, undoIn } from "../../test/git/apply-in.ts";
import type { Files } from "../../test/git/random-trees.ts";
import { UserArea } from "../../test/git/user-area.ts";

const START: Files = new Map(
  Object.entries({ "a.ts": "a\n", "b.ts": "b\n", "lib/deep/c.ts": "c\n", "doc/d.md": "d\n" }).map(([path, content]) => [
    path,
    { mode: "100644", content },
  ]),
);
let area: UserArea;

beforeEach(() => {
  area = new UserArea(START);
});
afterEach(() => area[Symbol.dispose]());

const at = (path: string) => join(area.directory, path);

function changed(texts: Record<string, string | undefined>) {
  const result = new Map(START);
  for (const [path, content] of Object.entries(texts)) {
    if (content === undefined) result.delete(path);
    else result.set(path, { mode: "100644", content });
  }
  return area.changes(area.head, result);
}

test("leaves directories as they were: empty ones stay, and removed ones come back with their modes", async () => {
  for (const path of ["empty", "empty/below"]) mkdirSync(at(path));
  chmodSync(at("lib"), 0o700);
  chmodSync(at("lib/deep"), 0o750);
  chmodSync(at("empty/below"), 0o711);
  const before = area.state();
  await applyIn(area, changed({ "empty/below/new/x.ts": "x\n", "lib/deep/c.ts": undefined, "other/y.ts": "y\n" }));
  expect([existsSync(at("lib")), existsSync(at("other"))]).toEqual([false, true]);
  await undoIn(area);
  expect(area.state()).toEqual(before);
});

test("says that a file is outside of the sparse checkout, and writes nothing", async () => {
  area.git("sparse-checkout", "set", "--no-cone", "/*", "!/lib/");
  const before = area.state();
  for (const text of ["new\n", undefined]) {
    const applied = applyIn(area, changed({ "lib/deep/c.ts": text, "a.ts": "x\n" }));
    await expect(applied).rejects.toMatchObject({ reason: "APPLY_BLOCKED" });
    await expect(applied).rejects.toThrow("lib/deep/c.ts is outside of your sparse checkout");
    expect(area.state()).toEqual(before);
  }
  await applyIn(area, changed({ "lib/deep/c.ts": "new\n", "a.ts": "x\n" }), { paths: ["a.ts"] });
  expect(area.git("status", "--porcelain")).toBe(" M a.ts\n");
});

test("applies and undoes on a file system without hard links", async () => {
  const real = fs.linkSync;
  fs.linkSync = () => {
    throw Object.assign(new Error("EPERM: operation not permitted, link"), { code: "EPERM" });
  };
  syncBuiltinESMExports();
  try {
    const before = area.state();
    await applyIn(area, changed({ "a.ts": "x\n" }), { stage: true });
    await undoIn(area);
    expect(area.state()).toEqual(before);
    writeFileSync(at(".git/index.lock"), "another's");
    await expect(applyIn(area, changed({ "a.ts": "x\n" }))).rejects.toMatchObject({ reason: "INDEX_LOCKED" });
    expect(fs.readFileSync(at(".git/index.lock"), "utf8")).toBe("another's");
  } finally {
    fs.linkSync = real;
    syncBuiltinESMExports();
  }
});

test("takes nothing back while another git holds the index", async () => {
  await applyIn(area, changed({ "a.ts": "x\n", "new.ts": "n\n" }));
  writeFileSync(at(".git/index.lock"), "");
  const before = area.state();
  await expect(undoIn(area)).rejects.toMatchObject({ reason: "INDEX_LOCKED" });
  expect(area.state()).toEqual(before);
  fs.rmSync(at(".git/index.lock"));
  await expect(undoIn(area)).resolves.toMatchObject({ fileCount: 2, unfinished: false });
});

const CONFLICTING = ["switch", "-qc", "other"];
for (const [what, begin, abort] of [
  ["a merge", ["merge", "other"], ["merge", "--abort"]],
  ["a rebase", ["rebase", "other"], ["rebase", "--abort"]],
  ["a rebase", ["rebase", "--apply", "other"], ["rebase", "--abort"]],
  ["a cherry-pick", ["cherry-pick", "other"], ["cherry-pick", "--abort"]],
  ["a revert", ["revert", "--no-edit", "HEAD~1"], ["revert", "--abort"]],
  ["a bisect", ["bisect", "start", "HEAD", "HEAD~2"], ["bisect", "reset"]],
] as const) {
  test(`neither apply nor undo disturbs ${what} (${begin.slice(0, 2).join(" ")}), and a branch is made and removed`, async () => {
    const session = changed({ "doc/d.md": "x\n" });
    await applyIn(area, session);
    area.git("commit", "-qam", "taken");
    area.git(...CONFLICTING);
    writeFileSync(at("a.ts"), "other\n");
    area.git("commit", "-qam", "other");
    area.git("switch", "-q", "main");
    for (const text of ["one\n", "two\n"]) {
      writeFileSync(at("a.ts"), text);
      area.git("commit", "-qam", text);
    }
    try {
      area.git(...begin);
    } catch {
      // It stops at a conflict.
    }
    const before = area.state();
    const applied = applyIn(area, changed({ "b.ts": "x\n" }));
    await expect(applied).rejects.toMatchObject({ reason: "GIT_UNDER_WAY", metadata: { what } });
    await expect(undoIn(area)).rejects.toMatchObject({ reason: "GIT_UNDER_WAY" });
    expect(area.state()).toEqual(before);
    await branchIn(area, changed({ "b.ts": "x\n" }));
    await expect(undoIn(area)).resolves.toMatchObject({ branch: "claude/fix-abc123" });
    // git leaves the empty directories of a branch that is gone.
    const now = [...area.state()].filter(([path]) => !path.startsWith(".git/logs/refs/heads"));
    expect(new Map(now)).toEqual(new Map([...before].filter(([path]) => !path.startsWith(".git/logs/refs/heads"))));
    area.git(...abort);
  });
}

test("journals of all work trees together are bounded, the oldest go first, and none that was broken off", async () => {
  const applied = (name: string) => branchIn(area, changed({ "a.ts": `${name}\n` }), { name });
  for (const name of ["first", "second", "third"]) await applied(name);
  const [tree] = readdirSync(area.undoDirectory);
  const entries = () => readdirSync(join(area.undoDirectory, tree!)).filter((name) => name !== "lock");
  // As if one of another work tree held a large copy, and an older one had been broken off.
  const other = join(area.undoDirectory, "0".repeat(20));
  const journal = (name: string, state: string, bytes: number) => {
    mkdirSync(join(other, name), { recursive: true });
    writeFileSync(join(other, name, "journal.json"), JSON.stringify({ version: 1, state, files: [], bytes }));
  };
  const names = ["a", "b", "c"].map((letter, n) => `${n === 2 ? "9" : "0"}0000000000000${n}-claudecluster-${letter}`);
  journal(names[0]!, "writing", 1);
  journal(names[1]!, "applied", 900 * 1024 ** 2);
  await applied("fourth");
  expect(readdirSync(other).sort()).toEqual([names[0], names[1]]);
  journal(names[2]!, "applied", 200 * 1024 ** 2);
  await applied("fifth");
  expect(readdirSync(other).sort()).toEqual([names[0], names[2], "lock"]);
  expect(entries()).toHaveLength(5);
  await expect(undoIn(area)).resolves.toMatchObject({ branch: "fifth" });
});

test("makes no branch on a commit that the user's repository has lost, and merges the files all the same", async () => {
  area.git("switch", "-qc", "gone");
  area.git("commit", "-qm", "gone", "--allow-empty");
  const session = { ...changed({ "a.ts": "x\n" }), headCommitId: area.head };
  // As a store of the host keeps it.
  const store = join(area.top, "store.git");
  area.git("clone", "-q", "--bare", "--no-hardlinks", ".", store);
  area.git("switch", "-q", "main");
  area.git("branch", "-qD", "gone");
  area.git("reflog", "expire", "--expire=now", "--all");
  area.git("gc", "-q", "--prune=now");
  const before = area.state();
  const startStores = [join(store, "objects")];
  await expect(branchIn(area, session, { startStores })).rejects.toMatchObject({
    reason: "START_NOT_FOUND",
    help: expect.stringContaining("--worktree"),
  });
  expect(area.state()).toEqual(before);
  await applyIn(area, session, { startStores });
  expect(area.git("status", "--porcelain")).toBe(" M a.ts\n");
  area.git("fsck", "--strict");
});
