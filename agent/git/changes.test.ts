import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { type FileChange, FileChange_Kind } from "../../proto/index.ts";
import { openBase } from "./base-repository.ts";
import { collectChanges, PatchTooLargeError } from "./final-changes.ts";
import { asClaude, BASE, requireRoot, runGit, SESSION, WorkArea } from "../../test/git/work-area.ts";

beforeAll(requireRoot);
const signal = AbortSignal.timeout(300_000);
const numbered = (count: number): string => Array.from({ length: count }, (_, n) => `line ${n}\n`).join("");

function fill(directory: string, git: (...args: string[]) => string): void {
  mkdirSync(join(directory, "src"));
  for (const name of ["edited", "deleted", "renamed", "moved", "mode", "link", "big"]) {
    writeFileSync(join(directory, "src", name), `${name}\n${numbered(30)}`);
  }
  writeFileSync(join(directory, "data.bin"), Buffer.from([0, 1, 2, 3]));
  git("add", "-A");
  git("commit", "-qm", "start");
}

function shown({ path, previousPath, kind, addedLineCount, deletedLineCount, binary, sizeBytes }: FileChange): string {
  const name = previousPath === "" ? path : `${previousPath} > ${path}`;
  return `${FileChange_Kind[kind]} ${name} +${addedLineCount} -${deletedLineCount}${binary ? " binary" : ""} ${sizeBytes}`;
}

test("says of each file what happened to it, and finds renames in the end", async () => {
  await using area = new WorkArea();
  area.source("repo", fill);
  const workspace = await area.open(await area.spec("repo"));
  asClaude(
    workspace.workTree,
    `cd src; echo more >> edited; rm deleted; mv renamed named; mv moved ../moved; echo x >> ../moved
    chmod +x mode; ln -sf edited link; : > empty; printf '\\0\\1' > ../data.bin; printf 'a\\nb' > "tab	ünï"`,
  );
  const { changes, unreadablePaths } = await workspace.collect({ signal });
  expect(changes.map(shown)).toEqual([
    "MODIFIED data.bin +0 -0 binary 2",
    "RENAMED src/moved > moved +1 -0 238",
    "DELETED src/deleted +0 -31 0",
    "MODIFIED src/edited +1 -0 242",
    "ADDED src/empty +0 -0 0",
    "MODIFIED src/link +1 -31 6",
    "MODE_CHANGED src/mode +0 -0 235",
    "RENAMED src/renamed > src/named +0 -0 238",
    'ADDED "src/tab\\t\\303\\274n\\303\\257" +2 -0 3',
  ]);
  expect(unreadablePaths).toEqual([]);
});

test("tells from scan to scan what is new, with each file's whole diff", async () => {
  await using area = new WorkArea();
  area.source("repo", fill);
  const workspace = await area.open(await area.spec("repo"));
  const scan = async (script: string): Promise<{ delta: string[]; count: number; more: boolean }> => {
    asClaude(workspace.workTree, script);
    const { delta, changes, more } = await workspace.scan({ signal });
    for (const { change, patch } of delta) expect(patch.length === 0).toBe(change.kind === FileChange_Kind.REVERTED);
    return { delta: delta.map(({ change }) => shown(change)), count: changes.length, more };
  };
  expect(await scan("true")).toEqual({ delta: [], count: 0, more: false });
  expect(await scan("echo 1 >> src/edited; mv src/renamed new")).toEqual({
    delta: ["ADDED new +31 -0 238", "MODIFIED src/edited +1 -0 239", "DELETED src/renamed +0 -31 0"],
    count: 3,
    more: false,
  });
  expect(await scan("touch src/* new")).toEqual({ delta: [], count: 3, more: false });
  expect(await scan("echo 2 >> src/edited")).toEqual({
    delta: ["MODIFIED src/edited +2 -0 241"],
    count: 3,
    more: false,
  });
  expect(await scan("git checkout -q src/edited; rm new")).toEqual({
    delta: ["REVERTED new +0 -0 0", "REVERTED src/edited +0 -0 0"],
    count: 1,
    more: false,
  });
  // Committing changes nothing.
  expect(await scan("git add -A; git commit -qm x; git checkout -q -b other; git gc -q")).toEqual({
    delta: [],
    count: 1,
    more: false,
  });
  expect(await scan("seq 2500 | while read n; do echo $n > f$n; done")).toMatchObject({ count: 2001, more: true });
  expect(await scan("true")).toMatchObject({ count: 2501, more: false });
}, 60_000);

test("returns scans one after the other, and none after the signal", async () => {
  await using area = new WorkArea();
  area.source("repo", fill);
  const workspace = await area.open(await area.spec("repo"));
  asClaude(workspace.workTree, "echo 1 >> src/edited");
  const controller = new AbortController();
  const [first, second, aborted] = await Promise.allSettled([
    workspace.scan({ signal }),
    workspace.scan({ signal }),
    (async () => {
      controller.abort(new Error("enough"));
      return await workspace.scan({ signal: controller.signal });
    })(),
  ]);
  expect(first).toMatchObject({ value: { delta: [{ change: { path: "src/edited" } }] } });
  expect(second).toMatchObject({ value: { delta: [] } });
  expect(aborted).toMatchObject({ reason: new Error("enough") });
});

test("says what changed when the patch is too large", async () => {
  await using area = new WorkArea();
  area.source("repo", fill);
  const paths = area.paths({ session: SESSION, base: BASE });
  const workspace = await area.open(await area.spec("repo"), paths);
  asClaude(workspace.workTree, "head -c 3000000 /dev/urandom > random; echo 1 >> src/edited");
  const base = await openBase({
    repository: await area.spec("repo"),
    directory: area.paths({ session: SESSION, base: BASE }).base,
    identity: BASE,
    proxyUrl: undefined,
    onProgress: () => undefined,
    signal,
  });
  const collecting = collectChanges({
    base,
    workTree: paths.workTree,
    scanDirectory: paths.scan,
    identity: SESSION,
    maxPatchBytes: 1_000_000,
    signal,
  });
  const error = await collecting.catch((error: unknown) => error);
  expect(error).toBeInstanceOf(PatchTooLargeError);
  expect(error).toMatchObject({ reason: "PATCH_TOO_LARGE", kind: "RESOURCE_EXHAUSTED" });
  expect((error as PatchTooLargeError).collected.changes.map(({ path }) => path)).toEqual(["random", "src/edited"]);
  expect((error as PatchTooLargeError).collected.patch).toHaveLength(0);
});

test("writes a patch without renames where git apply would refuse one with them", async () => {
  await using area = new WorkArea();
  const source = area.source("repo", (directory, git) => {
    symlinkSync("some/where", join(directory, "link"));
    writeFileSync(join(directory, "sp ace.bin"), Buffer.from([0, 1]));
    git("add", "-A");
    git("commit", "-qm", "start");
  });
  const workspace = await area.open(await area.spec("repo"));
  asClaude(
    workspace.workTree,
    "mv link renamed; mkdir link; echo x > link/inside; mkdir 'dir '; mv 'sp ace.bin' 'dir /data.bin'; : > 'dir /empty'",
  );
  const { patch, changes } = await workspace.collect({ signal });
  expect(changes.map(({ kind }) => kind)).not.toContain(FileChange_Kind.RENAMED);
  writeFileSync(join(area.directory, "patch"), patch);
  runGit(source, "apply", "--index", join(area.directory, "patch"));
  expect(runGit(source, "ls-files").split("\n")).toEqual(["dir /data.bin", "dir /empty", "link/inside", "renamed", ""]);
});

test("leaves nothing in the scan directory but the scans' own index", async () => {
  await using area = new WorkArea();
  area.source("repo", fill);
  const paths = area.paths({ session: SESSION, base: BASE });
  const workspace = await area.open(await area.spec("repo"), paths);
  asClaude(workspace.workTree, "echo 1 >> src/edited");
  await workspace.scan({ signal });
  await workspace.collect({ signal });
  await expect(workspace.collect({ signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error("enough")), 20);
  await expect(workspace.collect({ signal: controller.signal })).rejects.toThrow("enough");
  expect(asClaude(paths.scan, "ls")).toBe("live\n");
  chmodSync(paths.scan, 0o755);
});

test("collects while Claude's git holds its index", async () => {
  await using area = new WorkArea();
  area.source("repo", fill);
  const workspace = await area.open(await area.spec("repo"));
  asClaude(workspace.workTree, "echo more >> src/edited; echo staged >> src/big; git add src/big; : > .git/index.lock");
  expect((await workspace.scan({ signal })).changes.map(({ path }) => path).sort()).toEqual(["src/big", "src/edited"]);
  for (const last of [false, true]) {
    const { changes, incomplete } = await workspace.collect({ signal, last });
    expect(changes.map(({ path }) => path)).toEqual(["src/big", "src/edited"]);
    expect(incomplete).toBe(false);
  }
  expect(asClaude(workspace.workTree, "ls .git/index.lock")).toBe(".git/index.lock\n");
});
