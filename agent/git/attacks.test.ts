import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { FileChange_Kind } from "../../proto/index.ts";
import { asClaude, requireRoot, WorkArea } from "../../test/git/work-area.ts";
import type { Scan } from "./live-changes.ts";
import type { Workspace, WorkspacePaths } from "./workspace.ts";

beforeAll(requireRoot);
const signal = AbortSignal.timeout(600_000);

async function open(
  area: WorkArea,
): Promise<{ workspace: Workspace; paths: WorkspacePaths; claude: (script: string) => string }> {
  area.source("repo", (directory, git) => {
    mkdirSync(join(directory, "src"));
    writeFileSync(join(directory, "src/a.txt"), "a\n");
    writeFileSync(join(directory, "src/b.txt"), "b\n");
    writeFileSync(join(directory, "top.txt"), "top\n");
    writeFileSync(join(directory, "kept.log"), "tracked although ignored\n");
    writeFileSync(join(directory, ".gitignore"), "*.log\n");
    symlinkSync("top.txt", join(directory, "link"));
    git("add", "-A", "-f");
    git("update-index", "--add", "--cacheinfo", `160000,${"1".repeat(40)},sub`);
    git("commit", "-qm", "start");
  });
  const paths = area.paths({ session: { uid: 25005, gid: 25005 }, base: { uid: 26005, gid: 26005 } });
  const workspace = await area.open(await area.spec("repo"), paths);
  return { workspace, paths, claude: (script) => asClaude(workspace.workTree, script) };
}

/** "A path" for each change, in git's letters. */
function kinds(found: Pick<Scan, "changes">): string[] {
  return found.changes.map(({ kind, path }) => `${FileChange_Kind[kind].charAt(0)} ${path}`);
}

/** Scans and collects; both have to say the same. */
async function look(workspace: Workspace): Promise<{ kinds: string[]; unreadable: string[]; patch: string }> {
  const scan = await workspace.scan({ signal });
  const collected = await workspace.collect({ signal, last: true });
  expect(kinds(scan)).toEqual(kinds(collected));
  expect(scan.unreadablePaths).toEqual(collected.unreadablePaths);
  return { kinds: kinds(collected), unreadable: collected.unreadablePaths, patch: collected.patch.toString("latin1") };
}

test("names what it cannot read, and goes on with the rest", async () => {
  await using area = new WorkArea();
  const { workspace, claude } = await open(area);
  claude(`echo x >> src/a.txt; echo n > new.txt; echo n > closed.txt; chmod 000 closed.txt top.txt
    mkdir noread noenter none; touch noread/f noenter/f none/f; chmod 300 noread; chmod 600 noenter; chmod 000 none
    mkdir ignored.log; chmod 000 ignored.log`);
  expect(await look(workspace)).toMatchObject({
    kinds: ["M src/a.txt", "A new.txt"].sort((a, b) => (a.slice(2) < b.slice(2) ? -1 : 1)),
    unreadable: ["closed.txt", "noenter", "none", "noread", "top.txt"].concat().sort(),
  });
  claude("chmod 700 noread noenter none ignored.log; chmod 000 src");
  // What cannot be seen counts as it was, not as deleted.
  const { kinds: left, unreadable } = await look(workspace).catch(async () => {
    const collected = await workspace.collect({ signal, last: true });
    return { kinds: kinds(collected), unreadable: collected.unreadablePaths };
  });
  expect(unreadable).toContain("src");
  expect(left.filter((line) => line.startsWith("D"))).toEqual([]);
  claude("chmod 700 src; chmod 644 closed.txt top.txt; chmod 000 .");
  expect((await look(workspace)).kinds).toContain("M src/a.txt");
});

test("ignores pipes and sockets, and does not wait for those that bear the names of git's files", async () => {
  await using area = new WorkArea();
  const { workspace, claude } = await open(area);
  claude(`rm src/a.txt top.txt .gitignore; mkfifo src/a.txt pipe .gitignore src/.gitattributes; echo b2 > src/b.txt; echo l > l.log
    mkdir nested; cd nested; git init -q; rm .git/HEAD; mkfifo .git/HEAD; echo n > n.txt`);
  execFileSync("python3", [
    "-c",
    `import socket; s = socket.socket(socket.AF_UNIX); s.bind(${JSON.stringify(join(workspace.workTree, "top.txt"))})`,
  ]);
  const started = performance.now();
  const { kinds: found } = await look(workspace);
  expect(found).toEqual(["D .gitignore", "A l.log", "A nested/n.txt", "D src/a.txt", "M src/b.txt", "D top.txt"]);
  expect(performance.now() - started).toBeLessThan(60_000);
}, 90_000);

test("names the paths that git refuses", async () => {
  await using area = new WorkArea();
  const { workspace, claude } = await open(area);
  claude(
    "mkdir .GIT src/.Git; echo x > .GIT/config; echo x > src/.Git/y; echo x > git~1; ln -s x .gitmodules; echo ok > ok.txt",
  );
  const first = await look(workspace);
  expect(first).toMatchObject({
    kinds: ["A ok.txt"],
    unreadable: [".GIT/config", ".gitmodules", "git~1", "src/.Git/y"],
  });
  expect(await look(workspace)).toEqual(first);
});

test("does not read files that are too large for a patch", async () => {
  await using area = new WorkArea();
  const { workspace, claude } = await open(area);
  claude(
    "truncate -s 1T new.bin; truncate -s 1T top.txt; truncate -s 4294967300 src/a.txt; echo b2 > src/b.txt; truncate -s 200M kept.log",
  );
  const started = performance.now();
  expect(await look(workspace)).toMatchObject({
    kinds: ["M src/b.txt"],
    unreadable: ["kept.log", "new.bin", "src/a.txt", "top.txt"],
  });
  expect(performance.now() - started).toBeLessThan(20_000);
  claude("rm new.bin top.txt kept.log; echo small > src/a.txt");
  expect(await look(workspace)).toMatchObject({
    kinds: ["D kept.log", "M src/a.txt", "M src/b.txt", "D top.txt"],
    unreadable: [],
  });
}, 60_000);

test("goes by the .gitignore files as they are now", async () => {
  await using area = new WorkArea();
  const { workspace, claude } = await open(area);
  claude("mkdir cache; echo 1 > cache/1; echo 2 > two.tmp; echo 3 > three.log");
  expect((await look(workspace)).kinds).toEqual(["A cache/1", "A two.tmp"]);
  claude("echo '*' > cache/.gitignore; echo '*.tmp' > .gitignore");
  const scan = await workspace.scan({ signal });
  expect(kinds(scan)).toEqual(["M .gitignore", "A three.log"]);
  expect(scan.delta.map(({ change, patch }) => [FileChange_Kind[change.kind], change.path, patch.length > 0])).toEqual([
    ["MODIFIED", ".gitignore", true],
    ["ADDED", "three.log", true],
    ["REVERTED", "cache/1", false],
    ["REVERTED", "two.tmp", false],
  ]);
  await look(workspace);
  claude("rm kept.log; rm .gitignore; git checkout -q .gitignore");
  expect((await look(workspace)).kinds).toEqual(["D kept.log", "A two.tmp"]);
  claude("echo again > kept.log");
  expect((await look(workspace)).kinds).toEqual(["M kept.log", "A two.tmp"]);
  // A tracked file makes way for a directory and comes back.
  claude("rm kept.log; mkdir kept.log; echo x > kept.log/x");
  expect((await look(workspace)).kinds).toEqual(["D kept.log", "A two.tmp"]);
  claude("rm -r kept.log; echo back > kept.log");
  expect((await look(workspace)).kinds).toEqual(["M kept.log", "A two.tmp"]);
  claude("mv two.tmp keep; ln -s keep cache2; rm -r cache; ln -s src cache");
  expect((await look(workspace)).kinds).toEqual(["A cache", "A cache2", "A keep", "M kept.log"]);
});

test("takes a nested repository's files for what they are, also in place of a file", async () => {
  await using area = new WorkArea();
  const { workspace, claude } = await open(area);
  const commit = "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x";
  claude(`mkdir -p a/b/c; for d in a a/b a/b/c; do (cd $d; git init -q; echo nested $d > file; echo l > x.log; git add file; ${commit}); done
    mkdir empty; git init -q empty
    rm top.txt; git init -q top.txt; echo t > top.txt/t; rm src/a.txt; git init -q src/a.txt; (cd src/a.txt; echo u > u; git add u; ${commit})
    (cd src; git init -q; echo "[core] fsmonitor = touch /tmp/cc-evil-ran" >> .git/config); echo new > src/new`);
  expect((await look(workspace)).kinds).toEqual([
    "A a/b/c/file",
    "A a/b/file",
    "A a/file",
    "D src/a.txt",
    "A src/a.txt/u",
    "A src/new",
    "D top.txt",
    "A top.txt/t",
  ]);
  claude("rm -rf a top.txt src/a.txt; echo top > top.txt; echo a > src/a.txt");
  expect((await look(workspace)).kinds).toEqual(["A src/new"]);
});

test("leaves a submodule alone, takes ordinary files in its place, and says when a patch cannot carry it", async () => {
  await using area = new WorkArea();
  const { workspace, claude } = await open(area);
  expect(await look(workspace)).toMatchObject({ kinds: [], unreadable: [] });
  claude("echo x > sub/file");
  expect(await look(workspace)).toMatchObject({ kinds: ["D sub", "A sub/file"], unreadable: [] });
  claude("rm sub/file");
  expect(await look(workspace)).toMatchObject({ kinds: [], unreadable: [] });
  claude("rmdir sub; echo x > sub");
  expect((await look(workspace)).kinds).toEqual(["M sub"]);
  claude("rm sub");
  expect((await look(workspace)).kinds).toEqual(["D sub"]);
  claude("git init -q sub; cd sub; echo x > file; git add file; git -c user.name=a -c user.email=a@b commit -qm x");
  // Its commit is in the patch, and nowhere else.
  expect(kinds(await workspace.scan({ signal }))).toEqual(["M sub"]);
  const collected = await workspace.collect({ signal, last: true });
  expect({ kinds: kinds(collected), unreadable: collected.unreadablePaths }).toEqual({
    kinds: ["M sub"],
    unreadable: ["sub"],
  });
});

test("starts over when somebody damages what it stored", async () => {
  await using area = new WorkArea();
  const { workspace, paths, claude } = await open(area);
  claude("echo 1 >> src/a.txt; echo n > new.txt; printf x >> top.txt");
  const changes = ["A new.txt", "M src/a.txt", "M top.txt"];
  expect(kinds(await workspace.scan({ signal }))).toEqual(changes);
  const live = join(paths.scan, "live");
  const damage = [
    () => asClaude(live, "echo garbage > index"),
    () => asClaude(live, "truncate -s 100 index"),
    () => asClaude(live, "rm index"),
    () => asClaude(live, "rm -rf objects"),
    () => asClaude(live, "rm -rf objects/*; chmod 000 ."),
    () => rmSync(live, { recursive: true }),
    () => asClaude(live, "rm index; mkdir index"),
    () => asClaude(live, "touch index.lock"),
    () => asClaude(live, "git --git-dir=x init -q; cp x/HEAD index; rm -rf x"),
    () =>
      asClaude(
        live,
        `GIT_DIR=${paths.base}/repo.git GIT_INDEX_FILE=$PWD/index git read-tree HEAD || GIT_DIR=${paths.base}/repo.git GIT_INDEX_FILE=$PWD/index git read-tree --empty`,
      ),
  ];
  for (const [at, act] of damage.entries()) {
    act();
    claude(`echo ${at} > file${at}; echo ${at} >> src/b.txt`);
    const scan = await workspace.scan({ signal });
    expect(kinds(scan).filter((line) => line !== "M src/b.txt" && !line.startsWith("A file"))).toEqual(changes);
    // What was told before is not told again.
    expect(scan.delta.map(({ change }) => change.path)).toEqual([`file${at}`, "src/b.txt"]);
  }
  expect(kinds(await workspace.collect({ signal, last: true }))).toEqual(kinds(await workspace.scan({ signal })));
});

test("does not believe the scans' index when it collects", async () => {
  await using area = new WorkArea();
  const { workspace, paths, claude } = await open(area);
  claude("echo 1 >> src/a.txt; echo 1 >> top.txt");
  await workspace.scan({ signal });
  asClaude(
    workspace.workTree,
    `export GIT_DIR=${paths.base}/repo.git GIT_WORK_TREE=$PWD GIT_INDEX_FILE=${paths.scan}/live/index
    git update-index --assume-unchanged src/a.txt; git update-index --skip-worktree top.txt; echo 2 >> src/a.txt; echo 2 >> top.txt`,
  );
  const { patch } = await workspace.collect({ signal, last: true });
  expect(patch.toString()).toMatch(/^\+2$[\s\S]*^\+2$/m);
});

test("cannot be led astray by times and sizes that Claude restores", async () => {
  await using area = new WorkArea();
  const { workspace, claude } = await open(area);
  claude("touch -r top.txt stamp; printf 'tap\\n' > top.txt; touch -r stamp top.txt; rm stamp");
  expect((await look(workspace)).kinds).toEqual(["M top.txt"]);
  // Within one second git cannot tell, for want of finer times: the scans may lag, the result does not.
  await sleep(1100);
  claude("touch -r top.txt stamp; printf 'top\\n' > top.txt; touch -r stamp top.txt; rm stamp");
  expect((await look(workspace)).kinds).toEqual([]);
});

test("works without the work tree's .git, and when the work tree itself was replaced", async () => {
  await using area = new WorkArea();
  const { workspace, claude } = await open(area);
  claude("rm -rf .git; echo 1 >> top.txt");
  expect(await workspace.collect({ signal, last: true })).toMatchObject({ headCommitId: "" });
  expect((await look(workspace)).kinds).toEqual(["M top.txt"]);
  chmodSync(join(workspace.workTree, ".."), 0o777);
  claude("mv ../repo ../moved; ln -s moved ../repo");
  expect((await look(workspace)).kinds).toEqual(["M top.txt"]);
  claude("rm -rf ../moved ../repo");
  expect((await look(workspace)).kinds.every((line) => line.startsWith("D"))).toBe(true);
});
