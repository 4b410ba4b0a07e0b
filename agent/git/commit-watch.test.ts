import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { asClaude, requireRoot, WorkArea } from "../../test/git/work-area.ts";

beforeAll(requireRoot);
const signal = AbortSignal.timeout(300_000);

test("tells of each commit once, of a rebase as one, and of no move of HEAD", async () => {
  await using area = new WorkArea();
  area.source("repo", (directory, git) => {
    writeFileSync(join(directory, "a"), "a\n");
    git("add", "-A");
    git("commit", "-qm", "start");
  });
  const workspace = await area.open(await area.spec("repo"));
  const claude = (script: string) => asClaude(workspace.workTree, script);
  const look = () => workspace.lookForCommits({ signal });
  expect(await look()).toBeUndefined();
  claude("echo 1 > one; echo 2 > two; git add .; git commit -qm 'first: öne'");
  const commitId = claude("git rev-parse HEAD").trim();
  const first = { commitId, subject: "first: öne", branch: "main", fileCount: 2, commitCount: 1 };
  expect(await look()).toEqual(first);
  expect(await look()).toBeUndefined();
  claude(
    "git checkout -q -b side HEAD~1; git checkout -q main; git reset -q --hard HEAD~1; git merge -q --ff-only HEAD@{1}",
  );
  expect(await look()).toBeUndefined();
  claude("git commit -q --amend -m amended");
  expect(await look()).toMatchObject({ subject: "amended", commitCount: 1 });
  claude(`git checkout -q side; for n in 1 2 3; do echo $n > s$n; git add .; git commit -qm s$n; done`);
  expect(await look()).toMatchObject({ subject: "s3", branch: "side", fileCount: 1, commitCount: 3 });
  claude("git rebase -q main; git checkout -q --detach; git merge -q --no-ff --no-edit main~1 || :");
  expect(await look()).toMatchObject({ subject: "s3", branch: "", commitCount: 3 });
  claude("git checkout -q main; git merge -q --no-edit side --no-ff");
  expect(await look()).toMatchObject({ branch: "main", fileCount: 3, commitCount: 1 });
});

test("is not held up by what Claude makes of its repository", async () => {
  await using area = new WorkArea();
  const workspace = await area.open(undefined);
  const claude = (script: string) => asClaude(workspace.workTree, script);
  const look = () => workspace.lookForCommits({ signal });
  claude("git commit -q --allow-empty -m root");
  expect(await look()).toMatchObject({ subject: "root", fileCount: 0, commitCount: 1 });
  for (const trap of [
    "mkfifo .git/logs/HEAD",
    "ln -s /dev/zero .git/logs/HEAD",
    "mkdir .git/logs/HEAD",
    "rm -r .git; ln -s . .git",
  ]) {
    // prettier-ignore
    claude(`rm -rf .git/logs/HEAD; ${trap}`);
    expect(await look()).toBeUndefined();
  }
});
