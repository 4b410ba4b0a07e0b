import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { FileChange_Kind } from "../../proto/index.ts";
import { CleanCheckout } from "../../test/git/clean-checkout.ts";
import { editRandomly, randomFrom } from "../../test/git/random-edits.ts";
import { seedGroups } from "../../test/git/seeds.ts";
import { readTree } from "../../test/git/tree-snapshot.ts";
import { requireRoot, SESSION, WorkArea } from "../../test/git/work-area.ts";
import { RAW_ATTRIBUTES } from "./git.ts";

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
  // As files are that were committed before there were attributes.
  mkdirSync(join(directory, ".git/info"), { recursive: true });
  writeFileSync(join(directory, ".git/info/attributes"), RAW_ATTRIBUTES);
  git("add", "-f", "-A");
  git("update-index", "--add", "--cacheinfo", `160000,${"1".repeat(40)},sub`);
  git("commit", "-qm", "start");
  rmSync(join(directory, ".git/info/attributes"));
}

for (const seeds of seedGroups({ first: 1, last: 15, perGroup: 15 })) {
  test(`gives back exactly what the session left, by patch and by streamed diffs (seeds ${seeds[0]} to ${seeds.at(-1)})`, async () => {
    rmSync(EVIL, { force: true });
    await using area = new WorkArea();
    const source = area.source("start", fillSource);
    const workspace = await area.open(await area.spec("start"));
    const clean = new CleanCheckout(source, join(area.directory, "clean"));
    const tracked = readTree(workspace.workTree);
    expect(clean.mismatches(Buffer.alloc(0), new Map([...tracked, ["sub", "160000 "]]), [])).toEqual([]);
    const ignored = (path: string): boolean => /\.ignored(\/|$)|(^|\/)out\//.test(path) && !tracked.has(path);
    const signal = AbortSignal.timeout(120_000);
    const streamed = new Map<string, Buffer>();
    for (const seed of seeds) {
      editRandomly(workspace.workTree, randomFrom(seed));
      execFileSync("chown", ["-Rh", `${SESSION.uid}:${SESSION.gid}`, workspace.workTree]);
      const expected = readTree(workspace.workTree, ignored);
      if (isSubmodule(workspace.workTree)) expected.set("sub", "160000 ");

      const collected = await workspace.collect({ signal, last: seed % 2 === 0 });
      const label = `seed ${seed}`;
      expect(clean.mismatches(collected.patch, expected, collected.unconvertedPaths), label).toEqual([]);
      expect(collected.unreadablePaths, label).toEqual([]);
      expect(collected.treeId, label).toBe(clean.treeId(collected.patch));

      const scan = await workspace.scan({ signal });
      for (const { change, patch } of scan.delta) {
        if (change.kind === FileChange_Kind.REVERTED) streamed.delete(change.path);
        else streamed.set(change.path, patch);
      }
      expect([...streamed.keys()].sort(), label).toEqual(scan.changes.map(({ path }) => path).sort());
      // Every scan builds on the ones before: now and then is enough.
      if (seed % 3 !== 0) continue;
      const live = Buffer.concat([...streamed.values()]);
      expect(clean.mismatches(live, expected, collected.unconvertedPaths), label).toEqual([]);
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
