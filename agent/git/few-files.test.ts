import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { type BaseRepository, openBase } from "./base-repository.ts";
import { lookAtFew } from "./few-files.ts";
import { countGit } from "../../test/git/counted-git.ts";
import { editRandomly, randomFrom } from "../../test/git/random-edits.ts";
import { readTree } from "../../test/git/tree-snapshot.ts";
import { asClaude, BASE, requireRoot, SESSION, WorkArea } from "../../test/git/work-area.ts";
import type { RawPath } from "../../proto/index.ts";
import { PrivateIndex } from "./private-index.ts";
import type { RawDiffEntry } from "./raw-diff.ts";
import { initializeRepository, makeSessionRepository } from "./session-repository.ts";
import { isAttributes, readChanges } from "./tree-changes.ts";

beforeAll(requireRoot);
const signal = AbortSignal.timeout(300_000);

const ATTRIBUTES = "lib/a text eol=crlf\nlib/**/b text=auto\n*.txt -diff\n";

interface Place {
  base: BaseRepository;
  workTree: string;
  scanDirectory: string;
  identity: typeof SESSION;
}

async function open(area: WorkArea): Promise<Place> {
  area.source("repo", (directory, git) => {
    for (const name of ["lib", "lib/deep", "dir", "out"]) {
      mkdirSync(join(directory, name));
      for (const file of ["a", "b", "plain.txt", "x.ignored"]) writeFileSync(join(directory, name, file), `${name}\n`);
    }
    symlinkSync("lib", join(directory, "link"));
    writeFileSync(join(directory, ".gitignore"), "*.ignored\n/out/*\n");
    writeFileSync(join(directory, ".gitattributes"), ATTRIBUTES);
    git("add", "-A", "-f");
    git("update-index", "--add", "--cacheinfo", `160000,${"1".repeat(40)},sub`);
    git("commit", "-qm", "start");
  });
  const paths = area.paths({ session: SESSION, base: BASE });
  const quiet = { onProgress: () => undefined, proxyUrl: undefined, signal };
  const repository = await area.spec("repo");
  const base = await openBase({ ...quiet, repository, directory: paths.base, identity: BASE });
  await initializeRepository(paths.workTree, { identity: SESSION, signal: quiet.signal });
  const places = { workTree: paths.workTree, scanDirectory: paths.scan };
  await makeSessionRepository(base, places, { ...quiet, identity: SESSION });
  return { base, ...places, identity: SESSION };
}

/** What a look at everything finds. */
async function lookAtAll(place: Place): Promise<Map<RawPath, RawDiffEntry>> {
  const index = await PrivateIndex.create({ ...place, name: "whole", signal });
  const { entries } = await readChanges(index, { still: true, signal });
  return new Map(entries.map((entry) => [entry.path, entry]));
}

function attributesOf(whole: Map<RawPath, RawDiffEntry>): "some" | "changed" {
  return [...whole.keys()].some(isAttributes) ? "changed" : "some";
}

test("finds of each file what a look at everything does, or says that it cannot tell", async () => {
  await using area = new WorkArea();
  const place = await open(area);
  const start = [...readTree(place.workTree).keys()];
  let [told, differed] = [0, 0];
  for (let seed = 7001; seed <= 7040; seed++) {
    editRandomly(place.workTree, randomFrom(seed));
    // With other attributes it tells nothing.
    execFileSync("find", [place.workTree, "-name", ".gitattributes", "-exec", "rm", "-r", "{}", "+"]);
    writeFileSync(join(place.workTree, ".gitattributes"), ATTRIBUTES);
    execFileSync("chown", ["-Rh", `${SESSION.uid}:${SESSION.gid}`, place.workTree]);
    const whole = await lookAtAll(place);
    const paths = [...new Set([...start, ...readTree(place.workTree).keys(), "never/was", "lib/never"])];
    const valid = paths.filter((path) => !Buffer.from(path, "latin1").includes(0xff) && !path.includes("\x80b"));
    const few = await lookAtFew(valid, {
      ...place,
      name: "few",
      attributes: attributesOf(whole),
      differed: (path) => whole.has(path),
      signal,
    });
    for (const [path, file] of few.files) {
      expect({ path, entry: file?.entry }, `seed ${seed}`).toEqual({ path, entry: whole.get(path) });
      if (file !== undefined) differed++;
    }
    told += few.files.size;
    expect(few.left.length + few.files.size).toBe(valid.length);
  }
  expect(differed).toBeGreaterThan(50);
  expect(told).toBeGreaterThan(300);
}, 300_000);

test("tells of plain files, new, changed, gone and ignored", async () => {
  await using area = new WorkArea();
  const place = await open(area);
  asClaude(
    place.workTree,
    `printf 'x\\r\\n' > lib/deep/b; rm lib/b; chmod +x dir/a; rm dir/b; ln -s a dir/b; echo n > lib/new; echo i > new.ignored
    echo t >> lib/x.ignored`,
  );
  const paths = "lib/deep/b lib/b dir/a dir/b lib/new new.ignored lib/x.ignored lib/plain.txt never".split(" ");
  const few = await lookAtFew(paths, { ...place, name: "few", attributes: "some", differed: () => false, signal });
  const whole = await lookAtAll(place);
  expect(few.left).toEqual([]);
  expect([...few.files].map(([path, file]) => [path, file?.entry ?? "same"])).toEqual(
    paths.map((path) => [path, whole.get(path) ?? "same"]),
  );
  expect([...few.files].filter(([, file]) => file === undefined).map(([path]) => path)).toEqual([
    "new.ignored",
    "lib/plain.txt",
    "never",
  ]);
});

test("runs git five times, whatever the number of files", async () => {
  await using area = new WorkArea();
  const place = await open(area);
  asClaude(place.workTree, "echo x >> lib/a; echo x >> lib/deep/b; rm dir/a; echo n > new");
  for (const paths of [["lib/a"], ["lib/a", "lib/deep/b", "dir/a", "new"]]) {
    const ran = await countGit(area.directory, async () => {
      const options = { ...place, name: "few", attributes: "none", differed: () => false, signal } as const;
      const { files } = await lookAtFew(paths, options);
      expect([...files.values()].map((file) => file?.change.path)).toEqual(paths);
    });
    expect(ran).toEqual(["ls-tree", "check-ignore", "update-index", "cat-file", "diff-index"]);
  }
});

test("leaves to a look at everything what is not a plain file in plain directories", async () => {
  await using area = new WorkArea();
  const place = await open(area);
  asClaude(
    place.workTree,
    `mkfifo pipe; git init -q nested; echo x > nested/x; rm -r out; ln -s lib out; rm dir/a; mkdir dir/a
    echo x > closed; chmod 0 closed; mkdir shut; echo x > shut/x; chmod 0 shut; mkdir -p sub; echo x > sub/x
    echo t > tracked.ignored; git add -f tracked.ignored; truncate -s 40M large; echo x >> lib/a`,
  );
  for (const path of "pipe nested/x out/a out dir/a closed shut/x sub/x sub tracked.ignored large lib/a".split(" ")) {
    const few = await lookAtFew([path], {
      ...place,
      name: "few",
      attributes: "some",
      differed: (path) => /tracked/.test(path),
      signal,
    });
    // That a link took a directory's place is told of the link alone.
    expect({ path, left: few.left }).toEqual({ path, left: [path] });
  }
});
