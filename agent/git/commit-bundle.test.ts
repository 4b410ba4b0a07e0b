import { beforeAll, expect, test } from "vitest";
import { bundleOf, rebuilt } from "../../test/git/bundled.ts";
import { addSourceWithUpstream } from "../../test/git/with-upstream.ts";
import { asClaude, requireRoot, WorkArea } from "../../test/git/work-area.ts";

beforeAll(requireRoot);

/** A session in a clone of a repository whose branch "upstream" is ahead of main. */
async function open(area: WorkArea) {
  const source = addSourceWithUpstream(area);
  const workspace = await area.open(await area.spec("repo", { depth: -1 }));
  const claude = (script: string) => asClaude(workspace.workTree, script);
  return { source, workspace, claude, id: (rev: string) => claude(`git rev-parse ${rev}`).trim() };
}

test("has nothing where Claude made no commits, nor where it only fetched some", async () => {
  await using area = new WorkArea();
  const { workspace, claude } = await open(area);
  claude("echo more >> README.md");
  expect((await bundleOf(workspace)).bytes.length).toBe(0);
  claude("git checkout -q -- .; git merge -q --ff-only origin/upstream");
  expect((await bundleOf(workspace)).bytes.length).toBe(0);
});

test("brings the commits of the branch that is checked out, each with its id, ignored files that were committed too", async () => {
  await using area = new WorkArea();
  const { source, workspace, claude, id } = await open(area);
  claude(`echo one > one; git add .; git commit -qm one; echo l > x.log; git add -f x.log; chmod +x one; ln -s one link
    printf 'a\\0b' > "odd name"; git add .; git commit -qm "two"; git rm -q one; git commit -qm three; git commit -q --allow-empty -m empty`);
  const { bytes, left, treeId } = await bundleOf(workspace);
  expect(left.items).toEqual([]);
  await using host = await rebuilt(source, bytes);
  expect(host.brought).toEqual({
    refs: [{ name: "head", commitId: id("HEAD"), treeId, sameId: true, commitCount: 4 }],
    missing: [],
  });
  expect(host.show("log", "--format=%s", id("HEAD"))).toBe("empty\nthree\ntwo\none\nstart\n");
  expect(host.show("ls-tree", "-r", "--name-only", id("HEAD")).split("\n")).toContain("x.log");
});

test("brings stashes with what was staged and untracked in them, so that git stash apply takes them", async () => {
  await using area = new WorkArea();
  const { source, workspace, claude, id } = await open(area);
  claude(
    "echo s >> README.md; git add .; echo w >> src/a.txt; echo n > new; git stash -q -u; echo 2 >> README.md; git stash -q",
  );
  const { bytes, left } = await bundleOf(workspace);
  expect(left.items.map(({ name, refName }) => [name, refName])).toEqual([
    ["stash@{0}", "stash-0"],
    ["stash@{1}", "stash-1"],
  ]);
  await using host = await rebuilt(source, bytes);
  expect(host.brought.refs.map(({ name, commitId }) => [name, commitId])).toEqual([
    ["stash-0", id("stash@{0}")],
    ["stash-1", id("stash@{1}")],
  ]);
  expect(host.show("ls-tree", "--name-only", `${id("stash@{1}")}^3`)).toBe("new\n");
});

test("brings branches, tags, an orphan branch, a detached commit and an octopus merge, each commit once", async () => {
  await using area = new WorkArea();
  const { source, workspace, claude, id } = await open(area);
  claude(`for b in a b c; do git checkout -q -b t-$b main; echo $b > $b; git add .; git commit -qm $b; done
    git checkout -q -b Feature/Ünï main; git merge -q --no-edit t-a t-b t-c
    git checkout -q --detach main; echo d > d; git add .; git commit -qm detached; git tag -a -m t tagged; git checkout -q --detach main; echo l > l; git add .; git commit -qm loose
    git checkout -q --orphan orphan; git rm -q -rf .; echo o > o; git add .; git commit -qm orphan; git checkout -q main`);
  const { bytes, left } = await bundleOf(workspace);
  await using host = await rebuilt(source, bytes);
  const { refs, missing } = host.brought;
  expect(missing).toEqual([]);
  expect(refs.every(({ sameId }) => sameId)).toBe(true);
  expect(new Set(refs.map(({ name }) => name))).toEqual(new Set(left.items.map(({ refName }) => refName)));
  const merge = refs.find(({ commitId }) => commitId === id("Feature/Ünï"));
  expect(merge).toMatchObject({ name: "feature-n", commitCount: 4 });
  expect(refs.find(({ name }) => name === "orphan")).toMatchObject({ commitId: id("orphan"), commitCount: 1 });
  expect(refs.map(({ name }) => name)).toContain("tags-tagged");
});

test("brings only Claude's own of what was merged with or rebased onto what was fetched, and not what was amended", async () => {
  await using area = new WorkArea();
  const { source, workspace, claude, id } = await open(area);
  claude(`echo m > m; git add .; git commit -qm first; git commit -q --amend -m mine; git merge -q --no-edit origin/upstream
    git checkout -q -b moved main~1; echo r > r; git add .; git commit -qm r; git rebase -q origin/upstream; git checkout -q main`);
  const { bytes } = await bundleOf(workspace);
  await using host = await rebuilt(source, bytes);
  expect(host.brought.refs).toMatchObject([
    { name: "head", commitId: id("main"), commitCount: 2, sameId: true },
    { name: "moved", commitId: id("moved"), sameId: true },
  ]);
  // Where the upstream's commits are not there, nothing can stand on them.
  const user = area.source("user", (_, git) => git("fetch", "-q", source, "main:start"));
  await using other = await rebuilt(user, bytes);
  expect(other.brought.refs).toEqual([]);
  expect(other.brought.missing).toContainEqual({ name: "head", parentId: id("origin/upstream") });
});

test("brings what is not committed in worktrees and clones, and what is only staged, as commits", async () => {
  await using area = new WorkArea();
  const { source, workspace, claude } = await open(area);
  claude(`git worktree add -q .claude/worktrees/w -b w; cd .claude/worktrees/w; echo c > c; git add c; git commit -qm c; echo d > d
    echo staged > s; git add s; rm s; cd ../../..; git clone -q . nested; cd nested; echo n > n; cd ..; echo i > i; git add i; rm i`);
  const collected = await bundleOf(workspace);
  await using host = await rebuilt(source, collected.bytes);
  const files = (name: string): string[] => {
    const ref = host.brought.refs.find((each) => each.name === name);
    return host.show("ls-tree", "-r", "--name-only", ref!.commitId).trim().split("\n");
  };
  expect(collected.left.items.map(({ refName }) => refName).sort()).toEqual(["claude-worktrees-w", "index", "nested"]);
  expect(files("claude-worktrees-w")).toEqual(expect.arrayContaining(["c", "d", "s"]));
  expect(files("nested")).toContain("n");
  expect(files("index")).toContain("i");
});
