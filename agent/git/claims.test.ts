import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { FileChange_Kind } from "../../proto/index.ts";
import { asClaude, requireRoot, runGit, WorkArea } from "../../test/git/work-area.ts";
import type { Workspace } from "./workspace.ts";

beforeAll(requireRoot);
const signal = AbortSignal.timeout(300_000);
const EVIL = "/tmp/cc-evil-claims";
const [FIRST, SECOND] = ["1".repeat(40), "2".repeat(40)];

/** A workspace of a repository with ignored files and a submodule, and what its patch makes of a clone. */
async function open(area: WorkArea): Promise<{
  workspace: Workspace;
  claude: (script: string) => string;
  look: () => Promise<{ kinds: string[]; unreadable: string[] }>;
  applied: () => Promise<string[]>;
}> {
  const source = area.source("repo", (directory, git) => {
    mkdirSync(join(directory, "src"));
    writeFileSync(join(directory, ".gitignore"), "*.out\ndist/\n");
    writeFileSync(join(directory, "kept.out"), "tracked although ignored\n");
    writeFileSync(join(directory, "src/a.txt"), "a\n");
    git("add", "-A", "-f");
    git("update-index", "--add", "--cacheinfo", `160000,${FIRST},sub`);
    git("commit", "-qm", "start");
    git("checkout", "-qb", "other");
    writeFileSync(join(directory, "other.out"), "of another branch\n");
    git("add", "-f", "other.out");
    git("update-index", "--add", "--cacheinfo", `160000,${SECOND},sub`);
    git("commit", "-qm", "other");
    git("checkout", "-q", "main");
  });
  const workspace = await area.open(await area.spec("repo", { depth: -1 }));
  const look = async (): Promise<{ kinds: string[]; unreadable: string[] }> => {
    const scan = await workspace.scan({ signal });
    const collected = await workspace.collect({ signal });
    const kinds = scan.changes.map(({ kind, path }) => `${FileChange_Kind[kind].charAt(0)} ${path}`);
    // The scans know no renames.
    expect(collected.changes.flatMap(({ path, previousPath }) => [path, ...(previousPath ? [previousPath] : [])]).sort())
      .toEqual(scan.changes.map(({ path }) => path).sort()); // prettier-ignore
    return { kinds, unreadable: collected.unreadablePaths };
  };
  const applied = async (): Promise<string[]> => {
    const { patch } = await workspace.collect({ signal });
    const clone = join(area.directory, "clone");
    runGit(area.directory, "clone", "-q", source, clone);
    writeFileSync(join(area.directory, "patch"), patch);
    runGit(clone, "apply", "--index", join(area.directory, "patch"));
    const staged = runGit(clone, "ls-files", "-s", "-z").split("\0").slice(0, -1);
    return staged.map((line) =>
      line.replace(/^(\d+) ([0-9a-f]+) 0\t/, (_, mode, id) => (mode === "160000" ? `${id} ` : "")),
    );
  };
  return { workspace, claude: (script) => asClaude(workspace.workTree, script), look, applied };
}

test("has files that Claude's repository tracks although .gitignore names them", async () => {
  await using area = new WorkArea();
  const { claude, look, applied } = await open(area);
  claude(`echo x > forced.out; mkdir dist; echo b > dist/app.js; echo i > dist/ignored.js; echo i > ignored.out
    git add -f forced.out dist/app.js`);
  expect((await look()).kinds).toEqual(["A dist/app.js", "A forced.out"]);
  claude("git commit -qm a; git mv kept.out moved.out; git commit -qam mv");
  expect((await look()).kinds).toEqual(["A dist/app.js", "A forced.out", "D kept.out", "A moved.out"]);
  claude(
    "git rm -q --cached forced.out; git commit -qm no; echo more >> dist/app.js; ln -sf src intended.out; git add -fN intended.out",
  );
  expect((await look()).kinds).toEqual(["A dist/app.js", "A intended.out", "D kept.out", "A moved.out"]);
  // Of the index alone, of the commit alone.
  claude("git rm -rq --cached dist; echo s > staged.out; git add -f staged.out; rm intended.out");
  expect((await look()).kinds).toEqual(["A dist/app.js", "D kept.out", "A moved.out", "A staged.out"]);
  expect(await applied()).toEqual([
    ".gitignore",
    "dist/app.js",
    "moved.out",
    "src/a.txt",
    "staged.out",
    `${FIRST} sub`,
  ]);
});

test("has the ignored files and the submodules' commits of another branch that was checked out or merged", async () => {
  await using area = new WorkArea();
  const { claude, look, applied } = await open(area);
  claude("git checkout -q origin/other");
  expect((await look()).kinds).toEqual(["A other.out", "M sub"]);
  claude("git checkout -q main");
  expect((await look()).kinds).toEqual([]);
  claude("git merge -q origin/other");
  expect((await look()).kinds).toEqual(["A other.out", "M sub"]);
  expect(await applied()).toEqual([".gitignore", "kept.out", "other.out", "src/a.txt", `${SECOND} sub`]);
});

test("has submodules' commits as Claude's index holds them: moved, new, and gone", async () => {
  await using area = new WorkArea();
  const { claude, look, applied } = await open(area);
  claude(`git update-index --add --cacheinfo 160000,${SECOND},sub --cacheinfo 160000,${FIRST},more/new`);
  expect(await look()).toEqual({ kinds: ["A more/new", "M sub"], unreadable: [] });
  claude("git update-index --force-remove more/new");
  expect((await look()).kinds).toEqual(["M sub"]);
  claude(`git rm -q --cached sub; git update-index --add --cacheinfo 160000,${SECOND},third`);
  expect((await look()).kinds).toEqual(["D sub", "A third"]);
  expect(await applied()).toEqual([".gitignore", "kept.out", "src/a.txt", `${SECOND} third`]);
});

test("has a submodule's commit where it is checked out, and names what no patch can carry of it", async () => {
  await using area = new WorkArea();
  const { claude, look, applied } = await open(area);
  const commit = "git -c user.name=a -c user.email=a@b commit -q";
  claude(`git init -q .git/module; (cd .git/module; echo m > m.txt; git add m.txt; ${commit} -m m)
    git clone -q .git/module new; git config -f .gitmodules submodule.new.path new
    git config -f .gitmodules submodule.new.url ./module; git add .gitmodules new; ${commit} -m sub`);
  expect(await look()).toEqual({ kinds: ["A .gitmodules", "A new"], unreadable: [] });
  const id = claude("git -C new rev-parse HEAD").trim();
  claude("echo x >> new/m.txt");
  expect(await look()).toEqual({ kinds: ["A .gitmodules", "A new"], unreadable: ["new"] });
  expect(await applied()).toEqual([".gitignore", ".gitmodules", "kept.out", `${id} new`, "src/a.txt", `${FIRST} sub`]);
  claude(`cd new; ${commit} -am own`);
  expect(await look()).toEqual({ kinds: ["A .gitmodules", "A new"], unreadable: ["new"] });
  // One that .gitmodules does not name would be a commit that nobody can find: its files are there.
  claude("git rm -q --cached .gitmodules; rm .gitmodules");
  expect((await look()).kinds).toEqual(["A new/m.txt"]);
});

test("has a directory that became a submodule", async () => {
  await using area = new WorkArea();
  const { claude, look, applied } = await open(area);
  claude(`git rm -rq --cached src; git update-index --add --cacheinfo 160000,${SECOND},src; rm -r src; mkdir src`);
  expect(await look()).toEqual({ kinds: ["A src", "D src/a.txt"], unreadable: [] });
  expect(await applied()).toEqual([".gitignore", "kept.out", `${SECOND} src`, `${FIRST} sub`]);
});

test("believes Claude's repository nothing but names", async () => {
  await using area = new WorkArea();
  const { workspace, claude, look } = await open(area);
  rmSync(EVIL, { force: true });
  claude(`echo evil > blob; git add -f blob; rm blob; git update-index --add --cacheinfo 100644,$(git hash-object -w --stdin < /etc/hostname),gone.out
    ln -s /etc dist; git update-index --add --cacheinfo 100644,$(git hash-object -w --stdin < /etc/hostname),dist/hostname || rm dist
    echo real > real.out; git update-index --add --cacheinfo 100644,$(echo fake | git hash-object -w --stdin),real.out
    git config core.fsmonitor 'touch ${EVIL}; false'; git config core.hooksPath /nowhere`);
  expect((await look()).kinds.filter((line) => line !== "A dist")).toEqual(["A real.out"]);
  const { patch } = await workspace.collect({ signal });
  expect(patch.toString()).toContain("+real");
  expect((await workspace.collect({ signal })).incomplete).toBe(false);
  for (const trap of [
    "mkfifo .git/index2; mv .git/index2 .git/index",
    "rm .git/index; mkdir .git/index",
    "rmdir .git/index; echo garbage > .git/index",
    "rm .git/HEAD; mkfifo .git/HEAD",
    "rm -rf .git; mkfifo .git",
  ]) {
    claude(trap);
    expect((await look()).kinds.filter((line) => line !== "A dist")).toEqual([]);
    expect((await workspace.collect({ signal })).incomplete).toBe(true);
  }
  expect(existsSync(EVIL)).toBe(false);
}, 120_000);

test("has files that Claude's index does not want in the work tree as they were", async () => {
  await using area = new WorkArea();
  const { workspace, claude, look } = await open(area);
  claude(
    "git sparse-checkout set --cone dist; test ! -e src/a.txt; git update-index --skip-worktree kept.out; rm kept.out",
  );
  expect((await look()).kinds).toEqual([]);
  claude("echo new > new.txt");
  expect((await look()).kinds).toEqual(["A new.txt"]);
  claude("git sparse-checkout set --cone --sparse-index dist; git ls-files --sparse | grep -q '^src/$'");
  expect((await look()).kinds).toEqual(["A new.txt"]);
  // What is there counts, and so does what took their place, and what the index has no more.
  claude("mkdir src; echo b > src/a.txt");
  expect((await look()).kinds).toEqual(["A new.txt", "M src/a.txt"]);
  claude("rm -r src; echo file > src");
  expect((await look()).kinds).toEqual(["A new.txt", "A src", "D src/a.txt"]);
  claude("rm src; git rm -q --cached --sparse src/a.txt");
  expect((await look()).kinds).toEqual(["A new.txt", "D src/a.txt"]);
  expect((await workspace.collect({ signal, last: true })).changes.map(({ path }) => path)).toEqual([
    "new.txt",
    "src/a.txt",
  ]);
}, 60_000);

test("is complete where a session began with nothing, and has committed or not", async () => {
  await using area = new WorkArea();
  const workspace = await area.open(undefined);
  expect((await workspace.collect({ signal })).incomplete).toBe(false);
  asClaude(workspace.workTree, "echo a > a; git add a; git -c user.name=a -c user.email=a@b commit -qm a");
  expect((await workspace.collect({ signal, last: true })).incomplete).toBe(false);
  asClaude(workspace.workTree, "rm -rf .git");
  expect((await workspace.collect({ signal, last: true })).incomplete).toBe(false);
});

test("is incomplete where an index names more than can be read, and still has what the work tree shows", async () => {
  await using area = new WorkArea();
  const { workspace, claude } = await open(area);
  // 20,000 names of 4,000 characters: more than the 64 MiB that are read of it.
  claude(`echo changed > src/a.txt; blob=$(git rev-parse HEAD:kept.out)
    part=$(printf '%0199d' 0); long=$part
    for _ in $(seq 19); do long=$long/$part; done
    seq 20000 | sed "s,.*,100644 $blob\\t$long/&," | git update-index --index-info`);
  const { incomplete, changes } = await workspace.collect({ signal, last: true });
  expect(incomplete).toBe(true);
  expect(changes.map(({ path }) => path)).toContain("src/a.txt");
}, 120_000);
