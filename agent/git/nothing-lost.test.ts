import { chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { CleanCheckout } from "../../test/git/clean-checkout.ts";
import { randomFrom } from "../../test/git/random-edits.ts";
import { type Marks, workRandomly } from "../../test/git/random-work.ts";
import { seedGroups } from "../../test/git/seeds.ts";
import { asClaude, requireRoot, SESSION, WorkArea } from "../../test/git/work-area.ts";

beforeAll(requireRoot);
const signal = AbortSignal.timeout(3_000_000);
const utf16 = (text: string): Buffer => Buffer.from(`\ufeff${text}`, "utf16le");

function fill(directory: string, git: (...args: string[]) => string): void {
  for (const name of ["lib", "dir"]) mkdirSync(join(directory, name));
  writeFileSync(
    join(directory, ".gitattributes"),
    "*.dos text eol=crlf\n*.u16 working-tree-encoding=UTF-16\n*.id ident\n",
  );
  writeFileSync(join(directory, ".gitignore"), "*.out\ndist/\n");
  for (const name of ["a.txt", "lib/b.ts", "kept.out", "dir/f.txt"]) writeFileSync(join(directory, name), `${name}\n`);
  writeFileSync(join(directory, "c.dos"), "c\r\n");
  writeFileSync(join(directory, "d.u16"), utf16("d\n"));
  writeFileSync(join(directory, "e.id"), "$Id$\n");
  git("add", "-A", "-f");
  git("update-index", "--add", "--cacheinfo", `160000,${"9".repeat(40)},sub`);
  git("commit", "-qm", "start");
  git("checkout", "-qb", "other");
  writeFileSync(join(directory, "other.out"), "of another branch\n");
  writeFileSync(join(directory, "other.txt"), "of another branch\n");
  git("add", "-f", "other.out", "other.txt");
  git("update-index", "--cacheinfo", `160000,${"a".repeat(40)},sub`);
  git("commit", "-qm", "other");
  git("checkout", "-q", "main");
}

/** Every mark that a script finds, with the word before it: "place mark". */
function marksIn(workTree: string, script: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const line of asClaude(workTree, script).split("\n")) {
    const [place = "", mark] = line.split(" ");
    if (place === "") continue;
    const marks = found.get(place) ?? new Set();
    found.set(place, marks);
    if (mark !== undefined) marks.add(mark);
  }
  return found;
}

const FUNCTIONS = `marks() { grep -a -o 'mark-[0-9]*\\.' | sort -u | sed "s|^|$1 |"; }
`;
/** Marks of the files that git tracks or does not ignore. */
const IN_WORK_TREE = `${FUNCTIONS}
{ git ls-files -z; git ls-files -z --others --exclude-standard; git ls-tree -rz --name-only HEAD; } |
  xargs -0 -n 1 sh -c '[ ! -f "$1" ] || case $1 in *.u16) iconv -f UTF-16 -t UTF-8 -- "$1";; *) cat -- "$1";; esac' sh | marks tree`;
/** Marks of every place that is not the work tree and not part of HEAD's history. */
const ELSEWHERE = `${FUNCTIONS}
in_tree() { git grep -a -h -o 'mark-[0-9]*\\.' "$2" -- | marks "$1"; }
at=0; for commit in $(git log -g --format=%H refs/stash -- 2>/dev/null); do
  in_tree "stash@{$at}" "$commit"
  if git rev-parse -q --verify "$commit^3" > /dev/null; then in_tree "stash@{$at}" "$commit^3"; fi
  at=$((at + 1))
done
git for-each-ref --format='%(refname)' refs/heads refs/tags | while read -r ref; do
  git merge-base --is-ancestor "$ref" HEAD || in_tree "$ref" "$ref"
done
git worktree list --porcelain | sed -n 's/^worktree //p' | tail -n +2 | while read -r path; do
  (cd "$path" && git ls-files -z --cached --others --exclude-standard | sort -zu |
    xargs -0 -n 1 sh -c '[ ! -f "$1" ] || case $1 in *.u16) iconv -f UTF-16 -t UTF-8 -- "$1";; *) cat -- "$1";; esac' sh | marks "$path")
done
git log -g --format=%H HEAD | sort -u | while read -r commit; do
  [ -n "$(git for-each-ref --contains "$commit" --count=1)" ] || git merge-base --is-ancestor "$commit" HEAD || in_tree "commit:$commit" "$commit"
done`;

for (const seeds of seedGroups({ first: 1, last: 10, perGroup: 5 })) {
  test(
    `has everything that Claude's repository holds in the patch, or names it (seeds ${seeds[0]} to ${seeds.at(-1)})`,
    async () => {
      for (const seed of seeds) {
        await using area = new WorkArea();
        const source = area.source("repo", fill);
        const outside = join(area.directory, "outside");
        mkdirSync(outside);
        chownSync(outside, SESSION.uid, SESSION.gid);
        const workspace = await area.open(await area.spec("repo", { depth: -1 }));
        const { workTree } = workspace;
        const marks: Marks = { count: 0 };
        const did = workRandomly({ workTree, outside }, randomFrom(seed), marks);
        const label = `seed ${seed}:\n${did}\n`;

        const collected = await workspace.collect({ signal, last: true });
        const left = await workspace.findLeftWork(collected, { signal });
        const clean = new CleanCheckout(source, join(area.directory, "clean"));
        const applied = clean.blobs(collected.patch);
        const kept = clean.search("mark-[0-9]*\\.");

        const wanted = marksIn(workTree, IN_WORK_TREE).get("tree") ?? new Set();
        expect(
          [...wanted].filter((mark) => !kept.has(mark)),
          `${label}of the work tree`,
        ).toEqual([]);

        const pointers = asClaude(workTree, "git ls-files -s").matchAll(/^160000 ([0-9a-f]+) 0\t(.*)$/gm);
        const lost = [...pointers].filter(([, id, path = ""]) => applied.get(path) !== `160000 ${id}`);
        expect(
          lost.map(([line]) => line),
          `${label}submodules`,
        ).toEqual([]);

        const named = JSON.stringify(left.items);
        for (const [place, found] of marksIn(workTree, ELSEWHERE)) {
          const missing = [...found].filter((mark) => !kept.has(mark));
          if (missing.length === 0) continue;
          const name = place.replace(/^(?:refs\/heads\/|commit:)/, "").replace(`${workTree}/`, "");
          expect(named, `${label}${place} has ${missing.join()}`).toContain(name);
        }
      }
    },
    60_000 * seeds.length,
  );
}
