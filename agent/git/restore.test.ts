import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { editRandomly, randomFrom } from "../../test/git/random-edits.ts";
import { CleanCheckout, differences } from "../../test/git/clean-checkout.ts";
import { readTree } from "../../test/git/tree-snapshot.ts";
import { asClaude, requireRoot, SESSION, WorkArea } from "../../test/git/work-area.ts";

beforeAll(requireRoot);

const signal = AbortSignal.timeout(120_000);

function fillSource(directory: string, git: (...args: string[]) => string): void {
  for (const [path, content] of Object.entries({
    ".gitignore": "*.ignored\n",
    ".gitattributes": "*.txt text eol=crlf\n",
    "plain.txt": "one\ntwo\nthree\n",
    "dos.txt": "one\r\ntwo\r\n",
    "data.bin": "\0\x01\x02\xff".repeat(200),
    "lib.ts": "export const a = 1;\n".repeat(40),
  })) {
    writeFileSync(join(directory, path), Buffer.from(content, "latin1"));
  }
  git("add", "-A");
  git("commit", "-qm", "start");
}

test("a workspace with a patch is the one that the patch came from, and gives the same patch", async () => {
  await using area = new WorkArea();
  const source = area.source("start", fillSource);
  const clean = new CleanCheckout(source, join(area.directory, "clean"));
  const before = await area.open(await area.spec("start"));
  const ignored = (path: string): boolean => /\.ignored(\/|$)/.test(path);
  for (let seed = 1; seed <= 24; seed++) {
    editRandomly(before.workTree, randomFrom(seed));
    execFileSync("chown", ["-Rh", `${SESSION.uid}:${SESSION.gid}`, before.workTree]);
    if (seed % 3 !== 0) continue;
    const { patch, changes, unconvertedPaths } = await before.collect({ signal });
    const after = await area.open(await area.spec("start", { ref: before.baseCommitId }));
    await after.restore(patch, { signal });
    const label = `seed ${seed}`;
    const restored = await after.collect({ signal });
    expect(restored.patch.toString("latin1"), label).toBe(patch.toString("latin1"));
    const named = [...unconvertedPaths, ...restored.unconvertedPaths];
    expect(clean.mismatches(patch, readTree(before.workTree, ignored), named), label).toEqual([]);
    expect(clean.mismatches(patch, readTree(after.workTree), named), label).toEqual([]);
    const scan = await after.scan({ signal });
    expect(scan.changes.length, label).toBeGreaterThanOrEqual(changes.length);
  }
}, 120_000);

test("says that a patch does not fit, and applies nothing of it", async () => {
  await using area = new WorkArea();
  area.source("start", fillSource);
  const before = await area.open(await area.spec("start"));
  asClaude(before.workTree, "echo new > new.txt; echo four >> plain.txt");
  const { patch } = await before.collect({ signal });
  const after = await area.open(await area.spec("start"));
  asClaude(after.workTree, "echo other > plain.txt");
  await expect(after.restore(patch, { signal })).rejects.toMatchObject({
    reason: "PATCH_NOT_APPLIED",
    metadata: { base_commit_id: after.baseCommitId },
  });
  expect((await after.collect({ signal })).changes.map(({ path }) => path)).toEqual(["plain.txt"]);
});

test("restores into an empty repository", async () => {
  await using area = new WorkArea();
  const before = await area.open(undefined);
  asClaude(
    before.workTree,
    "mkdir -p a/b; echo 1 > a/b/c; head -c 300000 /dev/urandom > data; ln -s a link; chmod +x a/b/c",
  );
  const { patch } = await before.collect({ signal });
  const after = await area.open(undefined);
  await after.restore(patch, { signal });
  expect(differences(readTree(after.workTree), readTree(before.workTree))).toEqual([]);
  expect((await after.collect({ signal })).patch.equals(patch)).toBe(true);
});

test("goes on with ignored files that are tracked and with submodules' commits", async () => {
  await using area = new WorkArea();
  const [first, second] = ["1".repeat(40), "2".repeat(40)];
  area.source("start", (directory, git) => {
    fillSource(directory, git);
    git("update-index", "--add", "--cacheinfo", `160000,${first},old`, "--cacheinfo", `160000,${first},gone`);
    git("commit", "-qm", "submodules");
  });
  const before = await area.open(await area.spec("start"));
  asClaude(
    before.workTree,
    `mkdir dir; echo 1 > dir/forced.ignored; echo 2 > plain.ignored; git add -f dir; git rm -q --cached gone; rmdir gone
    git update-index --add --cacheinfo 160000,${second},old --cacheinfo 160000,${second},new`,
  );
  const { patch, changes } = await before.collect({ signal });
  expect(changes.map(({ path }) => path)).toEqual(["dir/forced.ignored", "gone", "new", "old"]);
  const after = await area.open(await area.spec("start"));
  await after.restore(patch, { signal });
  expect((await after.collect({ signal })).patch.toString()).toBe(patch.toString());
  expect(asClaude(after.workTree, "git diff --cached --name-only")).toBe("dir/forced.ignored\ngone\nnew\nold\n");
});
