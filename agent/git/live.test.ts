import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { FileChange_Kind } from "../../proto/index.ts";
import { CleanCheckout, differences } from "../../test/git/clean-checkout.ts";
import { editRandomly, randomFrom } from "../../test/git/random-edits.ts";
import { asClaude, BASE, requireRoot, SESSION, WorkArea } from "../../test/git/work-area.ts";
import type { Workspace, WorkspacePaths } from "./workspace.ts";

beforeAll(requireRoot);

/** Looks at every tick, as the agent does, and keeps the last diff of each file. */
async function follow(
  workspace: Workspace,
  body: (streamed: ReadonlyMap<string, string>, lookups: () => number) => Promise<void>,
): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  const streamed = new Map<string, string>();
  let scans = 0;
  const following = (async () => {
    for await (const _ of workspace.watch({ signal })) {
      const look = await workspace.look({ mayScan: true, signal });
      scans++;
      const rest = look.wholeIsDue ? await workspace.scan({ signal }) : { delta: [] };
      for (const { change, patch } of [...look.delta, ...rest.delta]) {
        if (change.kind === FileChange_Kind.REVERTED) streamed.delete(change.path);
        else streamed.set(change.path, patch.toString("latin1"));
      }
    }
  })();
  try {
    await body(streamed, () => scans);
  } finally {
    controller.abort(new Error("over"));
    await following.catch((error: unknown) => expect(error).toMatchObject({ message: "over" }));
  }
}

async function open(area: WorkArea, paths?: WorkspacePaths): Promise<Workspace> {
  area.source("repo", (directory, git) => {
    for (const name of ["lib", "dir", "out"]) {
      mkdirSync(join(directory, name));
      for (const file of ["a", "b", "plain.txt"]) writeFileSync(join(directory, name, file), `${name} ${file}\n`);
    }
    writeFileSync(join(directory, ".gitignore"), "*.ignored\n*.tmp\n/out/*\n");
    git("add", "-A", "-f");
    git("commit", "-qm", "start");
  });
  return await area.open(await area.spec("repo"), paths);
}

test("shows a live view that comes to what is collected, whatever is done", async () => {
  await using area = new WorkArea();
  const workspace = await open(area);
  const clean = new CleanCheckout(join(area.directory, "sources/repo"), join(area.directory, "clean"));
  const signal = AbortSignal.timeout(100_000);
  await follow(workspace, async (streamed) => {
    for (let seed = 5001; seed <= 5025; seed++) {
      editRandomly(workspace.workTree, randomFrom(seed));
      execFileSync("chown", ["-Rh", `${SESSION.uid}:${SESSION.gid}`, workspace.workTree]);
      if (seed % 5 !== 0) continue;
      const { patch } = await workspace.collect({ signal });
      const expected = clean.blobs(patch);
      const live = (): string[] =>
        differences(clean.blobs(Buffer.from([...streamed.values()].join(""), "latin1")), expected);
      await expect.poll(live, { timeout: 10_000, interval: 200 }).toEqual([]);
    }
  });
}, 120_000);

test("sees single files change, also when it looks at these alone", async () => {
  await using area = new WorkArea();
  const workspace = await open(area);
  await follow(workspace, async (streamed, lookups) => {
    // From here on the index is settled, and what is touched is known.
    await sleep(2500);
    const steps: [script: string, path: string, patch: RegExp | undefined][] = [
      ["echo more >> lib/a", "lib/a", /^\+more$/m],
      ["echo new > lib/new", "lib/new", /^\+new$/m],
      ["echo again > lib/new", "lib/new", /^\+again$/m],
      ["echo whole > lib/x.tmp; mv lib/x.tmp lib/a", "lib/a", /^\+whole$/m],
      ["rm lib/b", "lib/b", /^deleted file/m],
      ["rm lib/new", "lib/new", undefined],
      ["echo 'lib b' > lib/b", "lib/b", undefined],
      ["chmod +x dir/a", "dir/a", /^new mode 100755$/m],
      ["rm dir/b; ln -s a dir/b", "dir/b", /^new file mode 120000$/m],
      ["echo x > out/plain.txt", "out/plain.txt", /^\+x$/m],
      ["rm out/a", "out/a", /^deleted file/m],
      ["echo 'out a' > out/a", "out/a", undefined],
      ["echo ignored > x.ignored; echo ignored > out/new; echo last > -dash", "-dash", /^\+last$/m],
      ["echo '!x.ignored' >> .gitignore", "x.ignored", /^\+ignored$/m],
      ["mkdir n; git init -q n; echo n > n/n; sleep 0.5; echo m > n/m", "n/m", /^\+m$/m],
    ];
    for (const [script, path, patch] of steps) {
      asClaude(workspace.workTree, script);
      if (patch === undefined) await expect.poll(() => streamed.has(path), { timeout: 5000 }).toBe(false);
      else await expect.poll(() => streamed.get(path) ?? "", { timeout: 5000 }).toMatch(patch);
    }
    const { changes } = await workspace.collect({ signal: AbortSignal.timeout(20_000) });
    expect([...streamed.keys()].sort()).toEqual(changes.map(({ path }) => path).sort());
    // Nothing changes, nothing is looked at.
    const isStill = async (): Promise<boolean> => {
      const before = lookups();
      await sleep(700);
      return lookups() === before;
    };
    await expect.poll(isStill, { timeout: 15_000 }).toBe(true);
  });
}, 60_000);

test("tells of a touched file without the index of the whole", async () => {
  await using area = new WorkArea();
  const paths = area.paths({ session: SESSION, base: BASE });
  const workspace = await open(area, paths);
  const over = new AbortController();
  const ticks = workspace.watch({ signal: over.signal });
  await ticks.next();
  await ticks.next(); // It is set up for certain.
  await workspace.scan({ signal: over.signal });
  asClaude(paths.scan, "for file in live/index few/index; do [ ! -e $file ] || echo nonsense > $file; done");
  for (const [script, path] of [
    ["echo more >> lib/a", "lib/a"],
    ["echo new > dir/new", "dir/new"],
    ["rm out/plain.txt", "out/plain.txt"],
    ["mkdir fresh; sleep 0.5; echo x > fresh/file", "fresh/file"],
  ] as const) {
    asClaude(workspace.workTree, script);
    const told = new Set<string>();
    while (!told.has(path)) {
      await ticks.next();
      const { delta, whole } = await workspace.look({ mayScan: false, signal: over.signal });
      expect(whole).toBe(false);
      for (const { change } of delta) told.add(change.path);
    }
  }
  over.abort();
  await ticks.next();
}, 30_000);

test("says that a whole scan is due when Claude has added a file that git ignores", async () => {
  await using area = new WorkArea();
  const workspace = await open(area);
  const signal = AbortSignal.timeout(20_000);
  const look = async (): Promise<boolean> => (await workspace.look({ mayScan: false, signal })).wholeIsDue;
  await workspace.scan({ signal });
  expect(await look()).toBe(false);
  asClaude(workspace.workTree, "echo x > forced.ignored; git add -f forced.ignored");
  expect(await look()).toBe(true);
  expect(pathsOf(await workspace.look({ mayScan: true, signal }))).toEqual(["forced.ignored"]);
  expect(await look()).toBe(false);
});

test("tells of a file whose scan was cut off after git had taken the file in", async () => {
  await using area = new WorkArea();
  const workspace = await open(area);
  const signal = AbortSignal.timeout(60_000);
  asClaude(workspace.workTree, "echo one > one");
  expect(pathsOf(await workspace.scan({ signal }))).toEqual(["one"]);
  asClaude(workspace.workTree, "echo two > two");
  const cutOff = new AbortController();
  const reached = join(area.directory, "reached");
  await withGitThatHangs(area, { at: "diff-index", reached }, async () => {
    const scanning = workspace.scan({ signal: cutOff.signal });
    scanning.catch(() => {});
    await expect.poll(() => existsSync(reached), { timeout: 20_000 }).toBe(true);
    cutOff.abort(new Error("cut off"));
    await expect(scanning).rejects.toThrow();
  });
  expect(pathsOf(await workspace.scan({ signal }))).toEqual(["two"]);
});

function pathsOf({ delta }: { delta: readonly { change: { path: string } }[] }): string[] {
  return delta.map(({ change }) => change.path);
}

/** Runs `body` with a git that does not come back from one of its commands, and makes a file when it is there. */
async function withGitThatHangs(
  area: WorkArea,
  { at, reached }: { at: string; reached: string },
  body: () => Promise<void>,
): Promise<void> {
  const directory = join(area.directory, "bin");
  mkdirSync(directory);
  const path = process.env["PATH"] ?? "";
  const real = path.split(":").find((folder) => existsSync(join(folder, "git")))!;
  const script = `#!/bin/sh\n[ "$1" = ${at} ] || exec ${real}/git "$@"\necho > ${reached}\nexec sleep 1000\n`;
  writeFileSync(join(directory, "git"), script, { mode: 0o755 });
  chmodSync(area.directory, 0o777);
  process.env["PATH"] = `${directory}:${path}`;
  try {
    await body();
  } finally {
    process.env["PATH"] = path;
  }
}

test("takes the index of the checkout with the first look, or makes one where Claude left nothing to take it for", async () => {
  await using area = new WorkArea();
  const signal = AbortSignal.timeout(60_000);
  const untouched = await open(area);
  expect((await untouched.scan({ signal })).delta).toEqual([]);
  asClaude(untouched.workTree, "echo new > new");
  expect((await untouched.scan({ signal })).delta.map(({ change }) => change.path)).toEqual(["new"]);

  const paths = area.paths({ session: SESSION, base: BASE });
  const emptied = await area.open(await area.spec("repo"), paths);
  asClaude("/", `rm -rf ${paths.workTree}/* ${paths.workTree}/.[a-z]*; echo broken > ${paths.scan}/live/index`);
  const { changes } = await emptied.scan({ signal });
  expect(changes.map(({ kind }) => kind)).toEqual(changes.map(() => FileChange_Kind.DELETED));
  expect(changes.map(({ path }) => path)).toContain("lib/plain.txt");
}, 60_000);
