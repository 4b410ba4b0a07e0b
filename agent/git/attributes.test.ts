import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { FileChange_Kind } from "../../proto/index.ts";
import { differences } from "../../test/git/clean-checkout.ts";
import { readTree, type TreeSnapshot } from "../../test/git/tree-snapshot.ts";
import { asClaude, requireRoot, runGit, WorkArea } from "../../test/git/work-area.ts";
import type { Workspace } from "./workspace.ts";

beforeAll(requireRoot);
const signal = AbortSignal.timeout(300_000);

const utf16 = (text: string): Buffer => Buffer.from(`\ufeff${text}`, "utf16le");
const ATTRIBUTES = `*.dos text eol=crlf
*.unix text eol=lf
*.u16 text working-tree-encoding=UTF-16 eol=crlf
*.latin text working-tree-encoding=ISO-8859-1
*.id ident
*.psd filter=evil
`;

interface Opened {
  workspace: Workspace;
  claude: (script: string) => string;
  /** Applies the patch, with or without the index, to an ordinary clone. */
  clone: (options?: { index?: boolean }) => Promise<string>;
  look: () => Promise<string[]>;
}

async function open(
  area: WorkArea,
  extra?: (directory: string, git: (...args: string[]) => string) => void,
): Promise<Opened> {
  const source = area.source("repo", (directory, git) => {
    const files: Record<string, string | Buffer> = {
      ".gitattributes": ATTRIBUTES,
      "a.dos": "one\r\ntwo\r\nthree\r\n",
      "a.unix": "one\ntwo\n",
      "a.u16": utf16("eins\r\nzwei ü\r\ndrei\r\n"),
      "a.latin": Buffer.from("f\xfcnf\n", "latin1"),
      "a.id": "$Id$\nbody\n",
      "plain.txt": "plain\n",
    };
    for (const [path, content] of Object.entries(files)) writeFileSync(join(directory, path), content);
    git("add", "-A");
    git("commit", "-qm", "start");
    extra?.(directory, git);
  });
  const workspace = await area.open(await area.spec("repo"));
  const clone = async ({ index = true } = {}): Promise<string> => {
    const directory = join(area.directory, "clone");
    rmSync(directory, { recursive: true, force: true });
    runGit(area.directory, "clone", "-q", source, directory);
    writeFileSync(join(area.directory, "patch"), (await workspace.collect({ signal })).patch);
    runGit(directory, "apply", "--allow-empty", ...(index ? ["--index"] : []), join(area.directory, "patch"));
    return directory;
  };
  const look = async (): Promise<string[]> => {
    const kinds = ({ changes }: Pick<Awaited<ReturnType<Workspace["collect"]>>, "changes">): string[] =>
      changes.map(
        ({ kind, path, addedLineCount, deletedLineCount }) =>
          `${FileChange_Kind[kind].charAt(0)} ${path} +${addedLineCount} -${deletedLineCount}`,
      );
    const scan = await workspace.scan({ signal });
    const found = kinds(await workspace.collect({ signal }));
    expect(kinds(scan)).toEqual(found);
    return found;
  };
  return { workspace, claude: (script) => asClaude(workspace.workTree, script), clone, look };
}

function withoutIds(tree: TreeSnapshot): TreeSnapshot {
  return new Map([...tree].map(([path, content]) => [path, content.replace(/\$Id: \w+ \$/g, "$Id$")]));
}

test("checks out what a clone has, and takes it back as git would", async () => {
  await using area = new WorkArea();
  const { workspace, claude, clone, look } = await open(area);
  expect(differences(readTree(workspace.workTree), readTree(await clone()))).toEqual([]);
  expect(await look()).toEqual([]);
  expect(claude("git status --porcelain")).toBe("");

  writeFileSync(join(workspace.workTree, "a.u16"), utf16("eins\r\nzwei ü\r\nDREI\r\n"));
  writeFileSync(join(workspace.workTree, "new.u16"), utf16("neu ß\r\n"));
  writeFileSync(join(workspace.workTree, "a.latin"), Buffer.from("sechs \xfc\xe4\n", "latin1"));
  writeFileSync(join(workspace.workTree, "a.dos"), "one\r\ntwo\r\nfour\r\n");
  writeFileSync(join(workspace.workTree, "new.dos"), "new\r\n");
  writeFileSync(join(workspace.workTree, "a.unix"), "one\n");
  claude("sed -i s/body/text/ a.id; mkdir dir; cp new.u16 new.dos dir");
  expect(await look()).toEqual([
    "M a.dos +1 -1",
    "M a.id +1 -1",
    "M a.latin +1 -1",
    "M a.u16 +1 -1",
    "M a.unix +0 -1",
    "A dir/new.dos +1 -0",
    "A dir/new.u16 +1 -0",
    "A new.dos +1 -0",
    "A new.u16 +1 -0",
  ]);
  for (const index of [true, false]) {
    const found = readTree(await clone({ index }));
    expect(differences(withoutIds(found), withoutIds(readTree(workspace.workTree)))).toEqual([]);
  }
});

test("leaves alone what was committed in another form than its attributes ask for", async () => {
  await using area = new WorkArea();
  const { workspace, claude, clone, look } = await open(area, (directory, git) => {
    rmSync(join(directory, ".git/info"), { recursive: true, force: true });
    mkdirSync(join(directory, ".git/info"));
    writeFileSync(join(directory, ".git/info/attributes"), "* -text !working-tree-encoding -ident\n");
    writeFileSync(join(directory, "mixed.dos"), "one\r\ntwo\n");
    writeFileSync(join(directory, "raw.dos"), "one\r\ntwo\r\n");
    writeFileSync(join(directory, "raw.u16"), utf16("roh\r\n"));
    writeFileSync(join(directory, "raw.id"), "$Id: 123 $\n");
    git("add", "-A");
    git("commit", "-qm", "as it came");
    rmSync(join(directory, ".git/info/attributes"));
  });
  expect(await look()).toEqual([]);
  claude("cp raw.dos x; mv x raw.dos; touch mixed.dos raw.u16 raw.id; echo more >> plain.txt");
  expect(await look()).toEqual(["M plain.txt +1 -0"]);
  const found = readTree(await clone({ index: false }));
  expect(differences(withoutIds(found), withoutIds(readTree(workspace.workTree)))).toEqual([]);
});

test("goes by the attributes that Claude leaves, for what it has touched", async () => {
  await using area = new WorkArea();
  const { workspace, claude, clone, look } = await open(area);
  writeFileSync(join(workspace.workTree, "later.doc"), utf16("später\r\n"));
  writeFileSync(join(workspace.workTree, "later.bat"), "rem\r\n");
  expect(await look()).toEqual(["A later.bat +1 -0", "A later.doc +0 -0"]);
  claude(
    `printf '*.doc working-tree-encoding=UTF-16 text eol=crlf\\n*.bat text eol=crlf\\n*.txt text eol=crlf\\n' >> .gitattributes`,
  );
  expect(await look()).toEqual(["M .gitattributes +3 -0", "A later.bat +1 -0", "A later.doc +1 -0"]);
  expect((await workspace.collect({ signal })).patch.toString()).toContain("+später\n");
  // Committed and checked out, it is the same again.
  const directory = await clone();
  runGit(directory, "commit", "-qm", "x");
  runGit(area.directory, "clone", "-q", directory, join(area.directory, "again"));
  const again = readTree(join(area.directory, "again"));
  expect(again.get("later.doc")).toBe(readTree(workspace.workTree).get("later.doc"));
  expect(again.get("later.bat")).toBe("100644 rem\r\n");
  // So it is where the session goes on.
  const { patch } = await workspace.collect({ signal });
  const after = await area.open(await area.spec("repo"));
  await after.restore(patch, { signal });
  const restored = readTree(after.workTree);
  for (const name of [".gitattributes", "later.doc", "later.bat"]) expect(restored.get(name)).toBe(again.get(name));
  claude("rm .gitattributes");
  expect(await look()).toEqual(["D .gitattributes +0 -6", "A later.bat +1 -0", "A later.doc +0 -0"]);
  claude("printf 'x\\r\\n' >> a.dos");
  expect(await look()).toEqual(["D .gitattributes +0 -6", "M a.dos +4 -3", "A later.bat +1 -0", "A later.doc +0 -0"]);
  claude("git checkout .gitattributes a.dos; rm later.*");
  expect(await look()).toEqual([]);
});

test("has what Claude normalized without touching it", async () => {
  await using area = new WorkArea();
  const { claude, look } = await open(area, (directory, git) => {
    writeFileSync(join(directory, "windows.txt"), "one\r\ntwo\r\n");
    git("add", "-A");
    git("commit", "-qm", "from Windows");
  });
  claude("echo '*.txt text=auto' >> .gitattributes");
  expect(await look()).toEqual(["M .gitattributes +1 -0"]);
  claude("git add --renormalize .; git commit -qm normalized");
  expect(await look()).toEqual(["M .gitattributes +1 -0", "M windows.txt +2 -2"]);
});

test("has what Claude normalized by the attributes that were there", async () => {
  await using area = new WorkArea();
  area.source("auto", (directory, git) => {
    writeFileSync(join(directory, "windows.txt"), "one\r\ntwo\r\n");
    git("add", "-A");
    git("commit", "-qm", "from Windows");
    writeFileSync(join(directory, ".gitattributes"), "* text=auto\n");
    git("add", ".gitattributes");
    git("commit", "-qm", "attributes");
  });
  const workspace = await area.open(await area.spec("auto"));
  expect((await workspace.collect({ signal })).changes).toEqual([]);
  asClaude(workspace.workTree, "git add --renormalize .; git commit -qm normalized");
  expect((await workspace.collect({ signal })).changes).toMatchObject([{ path: "windows.txt", addedLineCount: 2 }]);
});

test("takes as it is what is not in the encoding that its attributes name", async () => {
  await using area = new WorkArea();
  const { workspace, claude, look, clone } = await open(area);
  claude("echo 'as UTF-8: ü' > a.u16; printf 'odd\\0\\n' > odd.u16; echo more >> plain.txt");
  expect(await look()).toEqual(["M a.u16 +1 -3", "A odd.u16 +0 -0", "M plain.txt +1 -0"]);
  expect(await workspace.collect({ signal })).toMatchObject({
    unreadablePaths: [],
    unconvertedPaths: ["a.u16", "odd.u16"],
  });
  expect(readTree(await clone()).get("a.u16")).toBe(`100644 ${utf16("as UTF-8: ü\r\n").toString("latin1")}`);
  claude(
    "git checkout a.u16; rm odd.u16; echo '* working-tree-encoding=no-such' > .gitattributes; seq 3000 | while read n; do echo $n > f$n; done",
  );
  const collected = await workspace.collect({ signal });
  expect(collected.changes).toHaveLength(3002);
  expect(collected.unreadablePaths).toEqual([]);
  claude("rm f*");
  expect(await look()).toEqual(["M .gitattributes +1 -6", "M plain.txt +1 -0"]);
}, 120_000);

test("runs no filter, whatever Claude configures, and says which the repository asks for", async () => {
  await using area = new WorkArea();
  const evil = "/tmp/cc-evil-filter";
  rmSync(evil, { force: true });
  const { workspace, claude, look } = await open(area, (directory, git) => {
    writeFileSync(join(directory, "picture.psd"), "version https://git-lfs.github.com/spec/v1\n");
    git("add", "-A");
    git("commit", "-qm", "picture");
  });
  expect(await workspace.collect({ signal })).toMatchObject({ skippedFilters: [{ name: "evil", fileCount: 1 }] });
  claude(`git config filter.evil.clean 'touch ${evil}; cat'; git config filter.evil.smudge 'touch ${evil}; cat'
    git config filter.evil.required true; echo '* filter=evil' >> .gitattributes; echo x > x.txt; git add -A; git commit -qm x; git checkout -qf .`);
  expect(await look()).toEqual(["M .gitattributes +1 -0", "A x.txt +1 -0"]);
  expect(existsSync(evil)).toBe(false);
});
