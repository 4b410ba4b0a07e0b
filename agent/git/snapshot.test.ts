import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { beforeAll, expect, test } from "vitest";
import { RepositorySnapshotSchema, SNAPSHOT_REF } from "../../proto/index.ts";
import { asClaude, BASE, requireRoot, runGit, SESSION, WorkArea } from "../../test/git/work-area.ts";
import type { Workspace } from "./workspace.ts";

beforeAll(requireRoot);

const OPTIONS = { signal: AbortSignal.timeout(60_000) };
const STATUS = "git status --porcelain=v2 --branch --untracked-files=all";

/** Makes the three commits of a work tree as it lies there, by plain git, and serves them as the host does. */
function snapshotOf(directory: string, rest: { subdirectory?: string } = {}) {
  const git = (...args: string[]): string => runGit(directory, ...args).trim();
  const tryGit = (...args: string[]): string => {
    try {
      return git(...args);
    } catch {
      return "";
    }
  };
  const commit = (tree: string, parent: string): string =>
    git("commit-tree", tree, ...(parent === "" ? [] : ["-p", parent]), "-m", "snapshot");
  const headCommitId = tryGit("rev-parse", "--verify", "-q", "HEAD");
  const branch = tryGit("symbolic-ref", "-q", "HEAD");
  const indexCommitId = commit(git("write-tree"), headCommitId);
  const index = readFileSync(join(directory, ".git/index"));
  git("add", "-u");
  const trackedCommitId = commit(git("write-tree"), indexCommitId);
  git("add", "-A");
  const untrackedCommitId = commit(git("write-tree"), trackedCommitId);
  writeFileSync(join(directory, ".git/index"), index);
  git("update-ref", SNAPSHOT_REF, untrackedCommitId);
  if (headCommitId !== "") writeFileSync(join(directory, ".git/shallow"), `${headCommitId}\n`);
  const ids = { headCommitId, indexCommitId, trackedCommitId, untrackedCommitId };
  const status = git("status", "--porcelain=v1").split("\n");
  const intended = status
    .filter((line) => /^ ?A /.test(line) && !line.startsWith("A "))
    .map((line) => line.trim().slice(2));
  const intentToAddPaths = intended.map((path) => Buffer.from(path));
  return create(RepositorySnapshotSchema, { branch, intentToAddPaths, ...ids, ...rest });
}

async function open(area: WorkArea, name: string, rest: { subdirectory?: string } = {}): Promise<Workspace> {
  const spec = await area.spec(name);
  spec.snapshot = snapshotOf(join(area.directory, "sources", name), rest);
  return await area.open(spec);
}

/** Every kind of difference that git status tells of. */
function makeDirty(directory: string, git: (...args: string[]) => string): void {
  const write = (path: string, text: string): void => writeFileSync(join(directory, path), text);
  mkdirSync(join(directory, "sub/deep"), { recursive: true });
  for (const name of ["same", "staged", "both", "changed", "gone", "removed", "moved", "mode", "sub/deep/in"]) {
    write(name, `${name}\n`);
  }
  write(".gitignore", "*.log\nfirst.log\n");
  git("add", "-A");
  git("commit", "-qm", "one");
  write("same", "two\n");
  git("commit", "-qam", "two");
  write("staged", "staged only\n");
  write("both", "staged\n");
  git("add", "staged", "both");
  write("both", "staged and changed\n");
  write("changed", "changed\n");
  rmSync(join(directory, "gone"));
  git("rm", "-q", "removed");
  git("mv", "moved", "moved away");
  chmodSync(join(directory, "mode"), 0o755);
  write("new", "new\n");
  git("add", "new");
  write("intended", "not yet\n");
  git("add", "-N", "intended");
  write("untracked é", "untracked\n");
  symlinkSync("same", join(directory, "link"));
  write("noise.log", "ignored\n");
}

test.each(["a branch", "a detached HEAD"])(
  "says inside what git status says outside, on %s",
  async (where) => {
    await using area = new WorkArea();
    const source = area.source("dirty", (directory, git) => {
      makeDirty(directory, git);
      if (where !== "a branch") git("checkout", "-q", "--detach");
      else git("branch", "-q", "-m", "feature/x");
    });
    const workspace = await open(area, "dirty");
    expect(asClaude(workspace.workTree, STATUS)).toBe(runGit(source, "status", "--porcelain=v2", "--branch", "-uall"));
    expect(asClaude(workspace.workTree, "git diff; git diff --cached; git reflog; git rev-list --count HEAD")).toBe(
      `${runGit(source, "diff")}${runGit(source, "diff", "--cached")}1\n`,
    );
    expect((await workspace.scan(OPTIONS)).changes).toEqual([]);
    const collected = await workspace.collect({ ...OPTIONS, last: true });
    expect(collected.patch.toString()).toBe("");
    expect(collected).toMatchObject({ unreadablePaths: [], incomplete: false, staged: [] });
    const { items, incomplete } = await workspace.findLeftWork(collected, OPTIONS);
    expect({ items, incomplete }).toEqual({ items: [], incomplete: false });
  },
  60_000,
);

test("starts without a commit where there is none yet", async () => {
  await using area = new WorkArea();
  const source = area.source("unborn", (directory, git) => {
    writeFileSync(join(directory, "staged"), "staged\n");
    git("add", "staged");
    writeFileSync(join(directory, "untracked"), "untracked\n");
  });
  const workspace = await open(area, "unborn");
  expect(asClaude(workspace.workTree, STATUS)).toBe(runGit(source, "status", "--porcelain=v2", "--branch", "-uall"));
  expect((await workspace.collect(OPTIONS)).patch.toString()).toBe("");
});

test("has in the patch what differs from what was sent, and nothing else", async () => {
  await using area = new WorkArea();
  const source = area.source("dirty", makeDirty);
  const workspace = await open(area, "dirty");
  const work = `printf 'more\\n' >> both; printf 'x\\n' >> "untracked é"; rm changed; printf 'again\\n' > gone; printf n > "fresh"
    git add -A; git -c user.name=C -c user.email=c@example.org commit -qm all`;
  asClaude(workspace.workTree, work);
  const { patch, changes, staged } = await workspace.collect({ ...OPTIONS, last: true });
  expect(changes.map(({ path }) => path).sort()).toEqual(
    ["both", "changed", "fresh", "gone", String.raw`"untracked \303\251"`].sort(),
  );
  expect(staged).toEqual([]);
  writeFileSync(join(area.directory, "patch"), patch);
  runGit(source, "apply", join(area.directory, "patch"));
  expect(readFileSync(join(source, "both"), "utf8")).toBe("staged and changed\nmore\n");
});

test("names what Claude alone has staged", async () => {
  await using area = new WorkArea();
  area.source("dirty", makeDirty);
  const workspace = await open(area, "dirty");
  asClaude(workspace.workTree, "cp both keep; printf 'only staged\\n' > both; git add both; mv keep both");
  const collected = await workspace.collect({ ...OPTIONS, last: true });
  const { items } = await workspace.findLeftWork(collected, OPTIONS);
  expect(items).toMatchObject([{ name: "the index", fileCount: 1, paths: ["both"] }]);
});

test("restores the patch of the session before on the same start", async () => {
  await using area = new WorkArea();
  const source = area.source("dirty", makeDirty);
  const first = await open(area, "dirty");
  asClaude(first.workTree, "printf 'more\\n' >> both; rm changed; printf x > kept.log; git add -f kept.log");
  const { patch } = await first.collect({ ...OPTIONS, last: true });
  const second = await open(area, "dirty");
  await second.restore(patch, OPTIONS);
  expect((await second.collect({ ...OPTIONS, last: true })).patch.toString()).toBe(patch.toString());
  expect(asClaude(second.workTree, "git diff --cached --name-only -- staged both")).toBe("both\nstaged\n");
  expect(runGit(source, "status", "--porcelain")).toContain("M  staged");
});

test("starts Claude in the directory that was asked for, also an empty one", async () => {
  await using area = new WorkArea();
  area.source("dirty", makeDirty);
  expect((await open(area, "dirty", { subdirectory: "sub/deep" })).cwd).toMatch(/repo\/sub\/deep$/);
  const { cwd, workTree } = await open(area, "dirty", { subdirectory: "empty/one" });
  expect(asClaude(cwd, "git status --porcelain=v2 .; pwd")).toBe(`${workTree}/empty/one\n`);
});

/** Puts what is committed into a directory, as the host gives it to a container. */
function supplyOf(source: string, directory: string): string {
  const head = runGit(source, "rev-parse", "HEAD").trim();
  mkdirSync(join(directory, "objects/pack"), { recursive: true });
  writeFileSync(join(directory, "packed-refs"), `${head} refs/claudecluster/supplied/0\n`);
  writeFileSync(join(directory, "shallow"), `${head}\n`);
  const args = ["-C", source, "pack-objects", "--revs", "-q", join(directory, "objects/pack/pack")];
  execFileSync("git", ["--shallow-file", join(directory, "shallow"), ...args], { input: `${head}\n` });
  return directory;
}

test.each(["that holds what is committed", "that holds nothing", "that is not there"])(
  "fetches only what is not in a supply %s",
  async (kind) => {
    await using area = new WorkArea();
    const source = area.source("dirty", (directory, git) => {
      writeFileSync(join(directory, "large"), randomBytes(200_000));
      makeDirty(directory, git);
      git("branch", "-q", "other", "HEAD~1");
    });
    const spec = await area.spec("dirty");
    const supply = join(area.directory, "supply");
    if (kind === "that holds nothing") mkdirSync(supply);
    const holds = kind === "that holds what is committed";
    if (holds) supplyOf(source, supply);
    const files = () => (holds ? readdirSync(supply, { recursive: true }).sort() : []);
    const before = files();
    spec.snapshot = snapshotOf(source);
    const paths = { ...area.paths({ session: SESSION, base: BASE }), supply };
    const workspace = await area.open(spec, paths);
    const packs = join(paths.base, "repo.git/objects/pack");
    const bytes = readdirSync(packs).reduce((sum, name) => sum + statSync(join(packs, name)).size, 0);
    if (holds) expect(bytes).toBeLessThan(10_000);
    else expect(bytes).toBeGreaterThan(200_000);
    expect(asClaude(workspace.workTree, STATUS)).toBe(runGit(source, "status", "--porcelain=v2", "--branch", "-uall"));
    expect(
      asClaude(workspace.workTree, "git fsck --no-dangling; git rev-list --count HEAD; git for-each-ref | wc -l"),
    ).toBe("1\n1\n");
    expect(files()).toEqual(before);
    asClaude(
      workspace.workTree,
      "printf more >> large; git -c user.name=C -c user.email=c@example.org commit -qam all",
    );
    const { changes } = await workspace.collect({ ...OPTIONS, last: true });
    expect(changes.map(({ path }) => path)).toEqual(["large"]);
  },
  60_000,
);

test("asks for a snapshot once, since the host has said what it is", async () => {
  await using area = new WorkArea();
  area.source("repo", makeDirty);
  await open(area, "repo");
  const { requests } = await area.server();
  expect(requests.filter((path) => path.includes("/info/refs"))).toHaveLength(1);
});

test("says what is missing where the host does not have the snapshot", async () => {
  await using area = new WorkArea();
  const directory = area.source("repo", makeDirty);
  const spec = await area.spec("repo");
  spec.snapshot = snapshotOf(directory);
  runGit(directory, "update-ref", "-d", SNAPSHOT_REF);
  await expect(area.open(spec)).rejects.toMatchObject({ reason: "REF_NOT_FOUND", metadata: { ref: SNAPSHOT_REF } });
});
