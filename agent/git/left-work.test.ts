import { execFile } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { LeftOut, type LeftWork, LeftWork_Item_Kind as Kind } from "../../proto/index.ts";
import { addSourceWithUpstream } from "../../test/git/with-upstream.ts";
import { asClaude, requireRoot, SESSION, WorkArea } from "../../test/git/work-area.ts";
import type { Workspace } from "./workspace.ts";

beforeAll(requireRoot);
const signal = AbortSignal.timeout(300_000);
const OUTSIDE = "/tmp/cc-left-work";
const NOTHING = { items: [], itemCount: 0, incomplete: false };

async function open(
  area: WorkArea,
  rest: { depth?: number } = {},
): Promise<{ workspace: Workspace; claude: (script: string) => string; left: () => Promise<LeftWork> }> {
  addSourceWithUpstream(area);
  const workspace = await area.open(await area.spec("repo", rest));
  const left = async () => workspace.findLeftWork(await workspace.collect({ signal }), { signal });
  return { workspace, claude: (script) => asClaude(workspace.workTree, script), left };
}

async function inBackground(workTree: string, script: string): Promise<void> {
  const env = { PATH: process.env["PATH"], HOME: "/nonexistent" };
  await promisify(execFile)("sh", ["-ec", script], { cwd: workTree, ...SESSION, env, timeout: 30_000 });
}

/** Each item in a line. */
function said({ items }: LeftWork): string[] {
  return items.map(({ kind, name, branch, subject, commitCount, fileCount }) =>
    [Kind[kind], name, branch && `on ${branch}`, `${commitCount}c ${fileCount}f`, subject].filter(Boolean).join(" "),
  );
}

test("says nothing where all is in the work tree, whatever became of the commits", async () => {
  await using area = new WorkArea();
  const { claude, left } = await open(area, { depth: -1 });
  expect(await left()).toMatchObject(NOTHING);
  claude(`echo fix >> README.md; git commit -qam fix; git checkout -q -b feature; echo new > new.txt; git add .; git commit -qm new
    git checkout -q main; git merge -q feature; echo more >> README.md; git commit -q --amend -am amended`);
  expect(await left()).toMatchObject(NOTHING);
  // Squashed, cherry-picked, rebased, stashed and popped, applied and left there.
  claude(`git checkout -q -b squash; echo 1 > s1; git add .; git commit -qm s1; echo 2 > s2; git add .; git commit -qm s2
    git checkout -q main; git merge -q --squash squash; git commit -qm squashed
    git checkout -q -b pick HEAD~1; echo p > p; git add .; git commit -qm p; git checkout -q main; git cherry-pick pick
    git checkout -q -b moved HEAD~1; echo m > m; git add .; git commit -qm m; git rebase -q main; git checkout -q main; git merge -q moved
    echo z >> README.md; git stash -q; git stash pop -q; git stash -q; git stash apply -q`);
  expect(said(await left())).toEqual([]);
});

test("names stashes, with what was staged and untracked in them", async () => {
  await using area = new WorkArea();
  const { workspace, claude, left } = await open(area);
  claude("echo fix >> README.md; git stash -q");
  expect((await workspace.collect({ signal })).changes).toEqual([]);
  expect(said(await left())).toMatchObject(["STASH stash@{0} 0c 1f WIP on main: " + claude("git log -1 --format='%h %s'").trim()]); // prettier-ignore
  claude("echo more >> src/a.txt; echo n > new.txt; git add src; git stash -q -u -m 'half done'; echo other > new.txt");
  expect(said(await left())).toMatchObject([
    "STASH stash@{0} 0c 2f On main: half done",
    expect.stringMatching(/^STASH stash@\{1\} 0c 1f WIP on main/),
  ]);
  claude("git stash drop -q; git stash drop -q");
  expect(await left()).toMatchObject(NOTHING);
});

test("names content that is in the index alone", async () => {
  await using area = new WorkArea();
  const { workspace, claude, left } = await open(area);
  claude("echo x > f; git add f; rm f; echo v2 > README.md; git add README.md; echo start > README.md");
  expect((await workspace.collect({ signal })).changes).toEqual([]);
  const work = await left();
  expect(said(work)).toEqual(["INDEX the index 0c 2f"]);
  expect(work.items[0]!.paths).toEqual(["README.md", "f"]);
  // What is committed is what was replaced; what has no content cannot be lost.
  claude(
    "git commit -qm v2; echo v3 > README.md; touch e; git add e; rm e; echo n > n; git add -N n; git rm -q --cached src/a.txt",
  );
  expect(await left()).toMatchObject(NOTHING);
  // A sparse checkout has it nowhere else.
  claude("git reset -q --hard; echo b > src/a.txt; git add .; git commit -qm b; git sparse-checkout set --cone none");
  expect((await workspace.collect({ signal })).changes.map(({ path }) => path)).not.toContain("src/a.txt");
  expect(said(await left())).toEqual(["INDEX the index 0c 1f"]);
  claude("git sparse-checkout disable; git worktree add -q wt -b wt; cd wt; echo w > w; git add w; rm w");
  expect(said(await left())).toEqual(["WORKTREE wt on wt 0c 1f"]);
}, 60_000);

test("names branches, tags and commits that no ref holds, with their commits and files", async () => {
  await using area = new WorkArea();
  const { claude, left } = await open(area);
  claude(`git checkout -q -b wip; echo 1 > one.txt; git add .; git commit -qm one; echo 2 > two.txt; git add .; git commit -qm two
    git checkout -q main`);
  expect(said(await left())).toEqual(["BRANCH wip 2c 2f two"]);
  claude(`git checkout -q --detach; echo d >> README.md; git commit -qam detached; git tag -a -m t tagged; git checkout -q main
    git checkout -q --detach; echo l > loose; git add .; git commit -qm 'loose one'; git checkout -q main
    echo r > gone; git add .; git commit -qm 'reset away'; git reset -q --hard HEAD~1`);
  expect(said(await left()).sort()).toEqual([
    "BRANCH wip 2c 2f two",
    "COMMIT 1c 1f loose one",
    "COMMIT 1c 1f reset away",
    "REF refs/tags/tagged 1c 1f detached",
  ]);
  claude("git branch -q -D wip; git tag -d tagged >/dev/null");
  expect(said(await left()).sort()).toEqual([
    "COMMIT 1c 1f detached",
    "COMMIT 1c 1f loose one",
    "COMMIT 1c 1f reset away",
    "COMMIT 2c 2f two",
  ]);
});

test("names what came from another repository in the container, fetched by its path or as a remote", async () => {
  await using area = new WorkArea();
  const { claude, left } = await open(area, { depth: -1 });
  const made = `${OUTSIDE}-fetched`;
  try {
    claude(`git clone -q . ${made}; git -C ${made} checkout -q -b topic; echo t > ${made}/t; git -C ${made} add t
      git -C ${made} -c user.name=C -c user.email=c@example.org commit -qm topic; git fetch -q ${made} topic:topic`);
    expect(said(await left())).toEqual(["BRANCH topic 1c 1f topic"]);
    claude(`git branch -qD topic; git remote add near file://${made}; git fetch -q near`);
    expect(said(await left())).toEqual(["REF refs/remotes/near/topic 1c 1f topic"]);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
});

test("names the branch that was left where HEAD is on another one in the end, and not what it has in common", async () => {
  await using area = new WorkArea();
  const { claude, left } = await open(area, { depth: -1 });
  claude("echo fix >> README.md; git commit -qam 'on main'; git checkout -q -b other origin/upstream; echo o > o; git add .; git commit -qm o"); // prettier-ignore
  expect(said(await left())).toEqual(["BRANCH main 1c 1f on main"]);
  // In a shallow clone too, where the branch is fetched afterwards.
  await using another = new WorkArea();
  const shallow = await open(another);
  // The server is in this process.
  await inBackground(
    shallow.workspace.workTree,
    `echo fix >> README.md; git commit -qam 'on main'; git fetch -q origin upstream:theirs; git checkout -q theirs
    git fetch -q origin main; git branch -q mine`,
  );
  expect(said(await shallow.left())).toEqual(["BRANCH main 1c 1f on main"]);
});

test("names worktrees with their branch, their commits and what is not committed there", async () => {
  await using area = new WorkArea();
  const { claude, left } = await open(area);
  rmSync(OUTSIDE, { recursive: true, force: true });
  claude(`git worktree add -q ${OUTSIDE} -b wt; cd ${OUTSIDE}; echo c > c.txt; git add .; git commit -qm committed; echo u >> README.md
    echo n > new.txt; echo i > ignored.log; rm src/a.txt; mkdir closed; echo x > closed/x; chmod 000 closed`);
  // c.txt, README.md, new.txt, src/a.txt, closed
  expect(said(await left())).toEqual([`WORKTREE ${OUTSIDE} on wt 1c 5f committed`]);
  claude(`chmod 700 ${OUTSIDE}/closed; cp -r ${OUTSIDE}/README.md ${OUTSIDE}/new.txt .; rm src/a.txt`);
  expect(said(await left())).toEqual([`WORKTREE ${OUTSIDE} on wt 1c 2f committed`]);
  claude(`rm -rf ${OUTSIDE}/closed; git merge -q wt`);
  expect(await left()).toMatchObject(NOTHING);
  claude(
    `cd ${OUTSIDE}; git checkout -q --detach; echo d > d.txt; git add .; git commit -qm detached; cd /; rm -rf ${OUTSIDE}`,
  );
  expect(said(await left())).toEqual(["COMMIT 1c 1f detached"]);
});

test("is not led astray or held up by what Claude made of its repository, runs nothing of it, and says if it could not be read", async () => {
  await using area = new WorkArea();
  const { workspace, claude, left } = await open(area);
  const evil = "/tmp/cc-evil-left";
  rmSync(evil, { force: true });
  claude(`git checkout -q -b 'wip"$(evil)'; printf '*.txt filter=evil diff=evil\\n' > .gitattributes; echo w > w.txt; git add .
    git commit -qm 'subject'; git checkout -q main; echo s >> README.md; git stash -q
    git worktree add -q .git/inside -b inner; echo x > .git/inside/new.txt
    for key in core.fsmonitor core.pager core.hooksPath core.alternateRefsCommand core.sshCommand diff.external diff.evil.textconv \\
      filter.evil.clean filter.evil.process filter.evil.smudge gpg.program remote.origin.uploadpack uploadpack.packObjectsHook; do
      git config $key 'touch ${evil}; cat'; done
    git config extensions.partialClone origin; git config remote.origin.promisor true; git config core.repositoryFormatVersion 1
    printf '#!/bin/sh\\ntouch ${evil}\\n' > .git/hooks-x; chmod +x .git/hooks-x; mkdir -p .git/hooks; cp .git/hooks-x .git/hooks/post-checkout
    mkdir -p .git/info; echo '* filter=evil' > .git/info/attributes; echo "$(git rev-parse wip*) $(git rev-parse main)" > .git/info/grafts`);
  const names = said(await left()).map((line) => line.split(" ").slice(0, 2).join(" "));
  expect(names).toEqual(["STASH stash@{0}", `BRANCH wip"$(evil)`, "WORKTREE .git/inside"]);
  expect(existsSync(evil)).toBe(false);

  const tried = async (trap: string) => {
    claude(trap);
    const started = performance.now();
    const { incomplete } = await left();
    expect(performance.now() - started, trap).toBeLessThan(30_000);
    return incomplete;
  };
  expect(await tried("mkfifo .git/refs/heads/pipe")).toBe(true);
  expect(await tried("rm .git/refs/heads/pipe; ln -s /dev/zero .git/refs/heads/zero")).toBe(true);
  expect(await tried("rm .git/refs/heads/zero; ln -s . .git/refs/loop; ln -s /dev/zero .git/FETCH_HEAD")).toBe(false);
  expect(await tried(`echo ${"1".repeat(40)} > .git/refs/heads/gone`)).toBe(true);
  expect(await tried("rm .git/refs/heads/gone; chmod 000 .git/objects")).toBe(true);
  expect(await tried("chmod 700 .git/objects; rm -rf .git; mkfifo .git")).toBe(false);
  expect(existsSync(evil)).toBe(false);
  expect(await workspace.collect({ signal })).toMatchObject({ changes: [] });
}, 120_000);

test("leaves nothing in the scan directory, and gives up when it is told to", async () => {
  await using area = new WorkArea();
  const { workspace, claude, left } = await open(area);
  claude("echo s >> README.md; git stash -q");
  expect((await left()).itemCount).toBe(1);
  expect(asClaude(join(workspace.workTree, "../scan"), "ls -a")).not.toContain("left-work");
  const aborted = { signal: AbortSignal.abort(new Error("enough")) };
  await expect(workspace.findLeftWork({ entries: [], checkouts: [], staged: [] }, aborted)).rejects.toThrow("enough");
});

test("counts what it does not list", async () => {
  await using area = new WorkArea();
  const { claude, left } = await open(area);
  claude(`tree=$(echo x | git hash-object -w --stdin); tree=$(printf "100644 blob $tree\\tx\\n" | git mktree)
    for n in $(seq 130); do git update-ref refs/heads/b$n $(git commit-tree -m $n -p HEAD $tree); done`);
  const { items, itemCount, incomplete } = await left();
  expect([items.length, itemCount, incomplete]).toEqual([100, 130, false]);
}, 60_000);

test("takes a checkout of the same repository in the work tree for no addition, and names what was changed in it", async () => {
  await using area = new WorkArea();
  const { workspace, claude, left } = await open(area);
  const paths = async () => {
    const scan = await workspace.scan({ signal });
    const { changes } = await workspace.collect({ signal, last: true });
    expect(scan.changes.map(({ path }) => path)).toEqual(changes.map(({ path }) => path));
    return changes.map(({ path }) => path);
  };
  claude("git worktree add -q .claude/worktrees/x -b wt; git clone -q . copies/one; echo mine > copies/mine.txt");
  expect(await paths()).toEqual(["copies/mine.txt"]);
  expect(await left()).toMatchObject(NOTHING);
  claude(`echo n > .claude/worktrees/x/new.txt; cd .claude/worktrees/x; echo c > c.txt; git add c.txt; git commit -qm 'in it'
    cd ../../../copies/one; echo u > untracked.txt; git checkout -q -b inner; echo i >> README.md; git -c user.name=a -c user.email=a@b commit -qam 'of the clone'`);
  expect(await paths()).toEqual(["copies/mine.txt"]);
  expect(said(await left())).toEqual([
    "WORKTREE .claude/worktrees/x on wt 1c 2f in it",
    "CLONE copies/one on inner 1c 2f of the clone",
  ]);
  // One that git adds by its commit, as it does with a warning.
  claude("git add -A 2>/dev/null; git commit -qm all");
  expect(await paths()).toEqual(["copies/mine.txt"]);
  // A repository of another kind, also within one of the same, and in place of a file.
  claude(`git init -q other; echo o > other/o.txt; git init -q .claude/worktrees/x/deep; echo d > .claude/worktrees/x/deep/d.txt
    rm src/a.txt; git clone -q . src/a.txt`);
  expect(await paths()).toEqual(["copies/mine.txt", "other/o.txt", "src/a.txt"]);
  // Where git ignores it, its files are not counted among those that it ignores.
  claude("echo .claude/ > .gitignore; echo x > .claude/own.txt");
  expect((await workspace.collect({ signal, last: true })).ignoredFiles).toMatchObject({ fileCount: 1 });
  claude(
    "git rm -rq --cached .claude copies; git worktree remove --force .claude/worktrees/x; rm -rf copies/one src/a.txt; git checkout -q src/a.txt",
  );
  expect(await paths()).toEqual([".gitignore", "copies/mine.txt", "other/o.txt"]);
}, 60_000);

test("says why a file is not in the patch, and counts the new files that git ignores", async () => {
  await using area = new WorkArea();
  const { workspace, claude } = await open(area);
  claude(`truncate -s 200M big.bin; echo x > closed.txt; chmod 000 closed.txt; mkdir shut .GIT; chmod 000 shut; echo x > .GIT/config
    echo 'node_modules/' >> .gitignore; mkdir -p node_modules/a/.git src/logs; touch node_modules/a/one node_modules/a/.git/x
    touch node_modules/two src/logs/a.log src/logs/b.log c.log forced.log; ln -s nowhere node_modules/three; git add -f forced.log`);
  const collected = await workspace.collect({ signal, last: true });
  const { unreadablePaths, unreadableReasons, ignoredFiles } = collected;
  expect(unreadablePaths.map((path, at) => `${path} ${LeftOut[unreadableReasons[at]!]}`)).toEqual([
    ".GIT/config REFUSED",
    "big.bin TOO_LARGE",
    "closed.txt UNREADABLE",
    "shut UNREADABLE",
  ]);
  expect(ignoredFiles).toMatchObject({ fileCount: 6, incomplete: false });
  expect(ignoredFiles!.paths).toEqual(["c.log", "node_modules/", "src/logs/"]);
  expect(collected.changes.map(({ path }) => path)).toEqual([".gitignore", "forced.log"]);
});

test("names in a continued session what it leaves itself, and nothing of what was restored", async () => {
  await using area = new WorkArea();
  const first = await open(area);
  first.claude("git checkout -q -b wip; echo w > wip.txt; git add .; git commit -qm wip; echo more > more.txt");
  const { patch } = await first.workspace.collect({ signal, last: true });
  const workspace = await area.open(await area.spec("repo"));
  await workspace.restore(patch, { signal });
  const left = async () =>
    said(await workspace.findLeftWork(await workspace.collect({ signal, last: true }), { signal }));
  expect(await left()).toEqual([]);
  asClaude(workspace.workTree, "git stash -q -u");
  expect(await left()).toMatchObject([expect.stringMatching(/^STASH stash@\{0\} 0c 2f /)]);
});
