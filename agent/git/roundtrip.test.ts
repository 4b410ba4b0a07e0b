import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { FileChange_Kind } from "../../proto/index.ts";
import { editRandomly, randomFrom } from "./fixtures/random-edits.ts";
import { readTree, type TreeSnapshot } from "./fixtures/tree-snapshot.ts";
import { requireRoot, runGit, SESSION, WorkArea } from "./fixtures/work-area.ts";
import { RAW_ATTRIBUTES } from "./git.ts";

const SEEDS_PER_RUN = 30;
const EVIL = "/tmp/cc-evil-ran";
beforeAll(requireRoot);

function fillSource(directory: string, git: (...args: string[]) => string): void {
  const files: Record<string, string> = {
    ".gitignore": "*.ignored\nout/\n",
    ".gitattributes": "*.txt text eol=crlf\n*.bin binary\n*.id ident\n*.u16 working-tree-encoding=UTF-16\n",
    "plain.txt": "one\ntwo\nthree\n",
    "dos.txt": "one\r\ntwo\r\n",
    "kept.ignored": "tracked although ignored\n",
    "out/kept.txt": "so is this\n",
    "data.bin": "\0\x01\x02\xff".repeat(200),
    "x.id": "$Id$\n",
    "x.u16": "not utf-16\n",
    "lib/a.ts": "export const a = 1;\n".repeat(40),
    "lib/b.ts": "export const b = 1;\n".repeat(40),
    "lib/deep/c.ts": "c\n",
    "dir/one": "1\n",
    "dir/two": "2\n",
    "run.sh": "#!/bin/sh\n",
    empty: "",
    "sp ace": "x\n",
    "new\nline": "y\n",
    ünï: "z\n",
  };
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(directory, path, ".."), { recursive: true });
    writeFileSync(join(directory, path), Buffer.from(content, "latin1"));
  }
  writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0xfe])]), "raw name\n");
  chmodSync(join(directory, "run.sh"), 0o755);
  symlinkSync("plain.txt", join(directory, "link"));
  symlinkSync("lib", join(directory, "linkdir"));
  mkdirSync(join(directory, ".git/info"), { recursive: true });
  writeFileSync(join(directory, ".git/info/attributes"), RAW_ATTRIBUTES);
  git("add", "-f", "-A");
  git("update-index", "--add", "--cacheinfo", `160000,${"1".repeat(40)},sub`);
  git("commit", "-qm", "start");
}

/** A checkout of the start commit that patches are applied to. */
class CleanCheckout {
  readonly #directory: string;
  constructor(source: string, directory: string) {
    this.#directory = directory;
    runGit(".", "clone", "-q", "--shared", "--no-checkout", source, directory);
    mkdirSync(join(directory, ".git/info"), { recursive: true });
    writeFileSync(join(directory, ".git/info/attributes"), RAW_ATTRIBUTES);
  }

  apply(patch: Buffer): { tree: TreeSnapshot; submodules: string[] } {
    runGit(this.#directory, "reset", "-q", "--hard", "origin/main");
    runGit(this.#directory, "clean", "-qffdx");
    if (patch.length > 0) {
      writeFileSync(`${this.#directory}.patch`, patch);
      runGit(this.#directory, "apply", "--index", "--binary", "--whitespace=nowarn", `${this.#directory}.patch`);
    }
    const staged = runGit(this.#directory, "ls-files", "-s", "-z").split("\0");
    const submodules = staged.filter((line) => line.startsWith("160000")).map((line) => line.split("\t")[1] ?? "");
    return { tree: readTree(this.#directory), submodules };
  }
}

for (let first = 1; first <= 120; first += SEEDS_PER_RUN) {
  test(`gives back exactly what the session left, by patch and by streamed diffs (seeds ${first} to ${first + SEEDS_PER_RUN - 1})`, async () => {
    rmSync(EVIL, { force: true });
    await using area = new WorkArea();
    const source = area.source("start", fillSource);
    const workspace = await area.open(await area.spec("start"));
    const clean = new CleanCheckout(source, join(area.directory, "clean"));
    const tracked = readTree(workspace.workTree);
    expect(clean.apply(Buffer.alloc(0)).tree).toEqual(tracked);
    const ignored = (path: string): boolean => /\.ignored(\/|$)|(^|\/)out\//.test(path) && !tracked.has(path);
    const signal = AbortSignal.timeout(120_000);
    const streamed = new Map<string, Buffer>();
    for (let seed = first; seed < first + SEEDS_PER_RUN; seed++) {
      editRandomly(workspace.workTree, randomFrom(seed));
      execFileSync("chown", ["-Rh", `${SESSION.uid}:${SESSION.gid}`, workspace.workTree]);
      const expected = readTree(workspace.workTree, ignored);
      const submodules = isSubmodule(workspace.workTree) ? ["sub"] : [];

      const collected = await workspace.collect({ signal });
      const label = `seed ${seed}`;
      expect({ label, ...compare(clean.apply(collected.patch), expected) }).toEqual({
        label,
        differing: [],
        submodules,
      });
      expect(collected.unreadablePaths, label).toEqual([]);

      const scan = await workspace.scan({ signal });
      for (const { change, patch } of scan.delta) {
        if (change.kind === FileChange_Kind.REVERTED) streamed.delete(change.path);
        else streamed.set(change.path, patch);
      }
      expect([...streamed.keys()].sort(), label).toEqual(scan.changes.map(({ path }) => path).sort());
      expect({ label, ...compare(clean.apply(Buffer.concat([...streamed.values()])), expected) }).toEqual({
        label,
        differing: [],
        submodules,
      });
      expect((await workspace.scan({ signal })).delta, label).toEqual([]);
    }
    expect(existsSync(EVIL)).toBe(false);
  }, 240_000);
}

/** A directory without files stands for the submodule, as in any checkout. */
function isSubmodule(workTree: string): boolean {
  const stat = lstatSync(join(workTree, "sub"), { throwIfNoEntry: false });
  return stat?.isDirectory() === true && readTree(join(workTree, "sub")).size === 0;
}

function compare(
  applied: { tree: TreeSnapshot; submodules: string[] },
  expected: TreeSnapshot,
): { differing: string[]; submodules: string[] } {
  const paths = [...new Set([...applied.tree.keys(), ...expected.keys()])];
  const differing = paths.filter((path) => applied.tree.get(path) !== expected.get(path));
  return {
    differing: differing.map(
      (path) =>
        `${JSON.stringify(path)}: ${applied.tree.get(path)?.slice(0, 40)} instead of ${expected.get(path)?.slice(0, 40)}`,
    ),
    submodules: applied.submodules,
  };
}
