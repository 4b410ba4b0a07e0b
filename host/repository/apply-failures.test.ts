import { execFileSync } from "node:child_process";
import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { applyIn, branchIn, undoIn } from "../../test/git/apply-in.ts";
import type { Files } from "../../test/git/random-trees.ts";
import { UserArea } from "../../test/git/user-area.ts";
import type { ApplyConflictsError } from "./apply-conflicts.ts";
import { applyToWorkTree } from "./apply-work-tree.ts";
import { Journal } from "./journal.ts";
import { prepareChanges, type SessionChanges } from "./session-changes.ts";
import { takeSnapshot } from "./snapshot.ts";
import { findRepository } from "./user-repository.ts";

// What other tools of this kind have got wrong between a user's repository and a sandbox, and the tests that hold it:
//
// - git on the host ran filters, textconv and fsmonitor of a .git that the sandbox had written: agent/git/roundtrip.test.ts (all is
//   done inside, whatever became of .git), test/e2e/hostile-repository.test.ts, "writes line ends and filters as the user's" here
// - a linked worktree's .git led into the real repository: "applies to a linked worktree" here, snapshot-kinds.test.ts
// - what is ignored, or secret, went in with the second sync: "leaves out a second time" in snapshot.test.ts
// - the start was lost once a first result was applied: "applies what a session has gone on with" here
// - the user's own am was aborted: "leaves alone what the user is in the middle of" here
// - untracked files were overwritten: "never overwrites what nobody tracks" here
// - links were followed on write: "follows no link" here
// - binary files and odd names were lost: apply.test.ts, test/trip/round-trip.test.ts
// - a stash around the apply conflicted when it was popped: "merges beside the user's stashes" here
// - commits were lost with the container: test/e2e/left-work.test.ts, test/e2e/container-killed.test.ts
// - LFS pointers were taken for content: snapshot-kinds.test.ts
// - index.lock was held: "says who holds the index" here, "does not wait for who holds the index" in snapshot-kinds.test.ts, and
//   inside "collects while Claude's git holds its index" in agent/git/changes.test.ts
// - files changed while they were read: "names files that do not hold still" in snapshot-kinds.test.ts

const signal = new AbortController().signal;
const START = files({ "a.ts": "one\ntwo\nthree\n", "b.ts": "b\n", "lib/c.ts": "c\n", ".gitignore": "*.log\n" });
let area: UserArea;

beforeEach(() => {
  area = new UserArea(START);
});
afterEach(() => area[Symbol.dispose]());

function files(texts: Record<string, string>, from: Files = new Map()): Files {
  const given = Object.entries(texts).map(([path, content]) => [path, { mode: "100644" as const, content }] as const);
  return new Map([...from, ...given]);
}

const apply = (session: SessionChanges, options?: Parameters<typeof applyIn>[2]) => applyIn(area, session, options);
const branch = (session: SessionChanges, name?: string, startStores?: string[]) =>
  branchIn(area, session, { ...(name !== undefined && { name }), ...(startStores && { startStores }) });
const undo = (sessionId?: string, directory?: string) => undoIn(area, sessionId, directory);

const at = (path: string) => join(area.directory, path);
const read = (path: string) => readFileSync(at(path), "utf8");

/** Runs something that is refused, and makes sure that nothing was written. */
async function refused(run: () => Promise<unknown>, reason: string): Promise<Error> {
  const before = area.state();
  const error = await run().then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toMatchObject({ reason });
  expect(area.state()).toEqual(before);
  return error as Error;
}

test("makes a branch of one commit on the start, the user's with Claude as co-author, and touches nothing else", async () => {
  writeFileSync(at("b.ts"), "mine\n");
  area.git("add", "b.ts");
  writeFileSync(at("new.ts"), "mine\n");
  const before = area.state();
  const session = area.changes(area.head, files({ "a.ts": "one\n2\nthree\n" }, START));
  const { commitId, startCommitId } = await branch(session);
  expect(startCommitId).toBe(area.head);
  expect(area.git("log", "-1", "--format=%an <%ae>%n%P%n%B", commitId)).toBe(
    `User <user@example.com>\n${area.head}\nFix it\n\nClaude-Session: ${session.sessionId}\nCo-Authored-By: Claude <noreply@anthropic.com>\n\n`,
  );
  expect(area.git("rev-parse", `${commitId}^{tree}`).trim()).toBe(session.treeId);
  area.git("fsck", "--strict", "--no-dangling");
  const after = area.state();
  for (const path of [".git/refs/heads/claude/fix-abc123", ".git/logs/refs/heads/claude/fix-abc123"]) {
    expect(after.delete(path)).toBe(true);
  }
  expect(after).toEqual(before);
  await expect(branch(session)).resolves.toMatchObject({ already: true, commitId });
  await refused(() => branch(area.changes(area.head, files({ "a.ts": "other\n" }, START))), "BRANCH_EXISTS");
  await expect(undo()).resolves.toMatchObject({ branch: "claude/fix-abc123" });
  expect(area.git("for-each-ref", "refs/heads/claude")).toBe("");
  await refused(() => undo(), "NOTHING_TO_UNDO");
});

test("does not remove a branch that is checked out, or has come further", async () => {
  await branch(area.changes(area.head, files({ "b.ts": "x\n" }, START)));
  area.git("switch", "-q", "claude/fix-abc123");
  await refused(() => undo(), "UNDO_BLOCKED");
  area.git("commit", "-qm", "more", "--allow-empty");
  area.git("switch", "-q", "main");
  await refused(() => undo(), "UNDO_BLOCKED");
});

test("names conflicts file by file with their lines, and writes nothing", async () => {
  const session = area.changes(area.head, files({ "a.ts": "one\nTWO\nthree\n", "b.ts": "b2\n" }, START));
  writeFileSync(at("a.ts"), "one\nzwei\nthree\n");
  const error = (await refused(() => apply(session), "APPLY_CONFLICTS")) as ApplyConflictsError;
  expect(error.conflicts).toMatchObject([
    { path: "a.ts", hunks: [expect.stringMatching(/^<{7} yours\nzwei\n={7}\nTWO\n>{7} session$/)] },
  ]);
  await apply(session, { paths: ["b.ts"] });
  expect([read("a.ts"), read("b.ts")]).toEqual(["one\nzwei\nthree\n", "b2\n"]);
});

test("names files in conflict as people read them: größe.txt as it is, what poses as another name escaped", async () => {
  const [plain, posing] = ["größe.txt", "p\u0430y\u202e.txt"];
  const raw = (path: string) => Buffer.from(path).toString("latin1");
  const start = files({ [raw(plain)]: "1\n", [raw(posing)]: "1\n" }, START);
  area.put(start);
  area.git("add", "-A");
  area.git("commit", "-qm", "names");
  const both = area.changes(area.head, files({ [raw(plain)]: "2\n", [raw(posing)]: "2\n" }, start));
  for (const path of [plain, posing]) writeFileSync(at(path), "mine\n");
  const shown = String.raw`"p\320\260y\342\200\256.txt"`;
  const { message, conflicts } = (await refused(() => apply(both), "APPLY_CONFLICTS")) as ApplyConflictsError;
  expect(message).toContain("größe.txt");
  expect(message).toContain(shown);
  expect(conflicts.flatMap(({ messages }) => messages).sort()).toEqual([
    `CONFLICT (content): Merge conflict in ${shown}`,
    "CONFLICT (content): Merge conflict in größe.txt",
  ]);
});

test("merges into what the user has changed and committed meanwhile", async () => {
  const long = Array.from({ length: 20 }, (_, n) => `line ${n}\n`);
  area.put(files({ "long.ts": long.join("") }, START));
  area.git("add", "-A");
  area.git("commit", "-qm", "long");
  const start = area.head;
  const session = area.changes(start, files({ "long.ts": long.with(2, "session\n").join("") }, START));
  writeFileSync(at("long.ts"), long.with(17, "user\n").join(""));
  area.git("commit", "-qam", "user's");
  await apply(session);
  expect(read("long.ts")).toBe(long.with(2, "session\n").with(17, "user\n").join(""));
  expect(area.git("status", "--porcelain")).toBe(" M long.ts\n");
  // What is there already is not applied twice.
  await refused(() => apply(session), "NOTHING_TO_APPLY");
});

test("applies what a session has gone on with after the first part was applied, committed and rewritten", async () => {
  const start = area.head;
  const first = files({ "a.ts": "one\n2\nthree\n", "new.ts": "n\n" }, START);
  await apply(area.changes(start, first));
  area.git("add", "-A");
  area.git("commit", "-qm", "taken in");
  area.git("commit", "-q", "--amend", "-m", "taken in, in other words");
  area.git("reflog", "expire", "--expire=now", "--all");
  area.git("gc", "-q", "--prune=now");
  const second = files({ "a.ts": "one\n2\nthree\nfour\n", "b.ts": "b2\n" }, first);
  await apply(area.changes(start, second));
  expect(area.git("status", "--porcelain")).toBe(" M a.ts\n M b.ts\n");
  await expect(branch(area.changes(start, second))).resolves.toMatchObject({ startCommitId: start });
  expect(area.git("log", "--format=%P", "-1", "claude/fix-abc123").trim()).toBe(start);
});

test("merges beside the user's stashes and changes, and puts nothing away", async () => {
  writeFileSync(at("b.ts"), "stashed\n");
  area.git("stash", "-q");
  writeFileSync(at("b.ts"), "mine\n");
  writeFileSync(at("untracked.ts"), "mine\n");
  const session = area.changes(area.head, files({ "a.ts": "one\n2\nthree\n" }, START));
  const stash = () => [area.git("stash", "list", "--format=%H %gd"), read(".git/logs/refs/stash")];
  const before = stash();
  await apply(session);
  expect(stash()).toEqual(before);
  expect([read("a.ts"), read("b.ts"), read("untracked.ts")]).toEqual(["one\n2\nthree\n", "mine\n", "mine\n"]);
  await refused(() => apply(area.changes(area.head, files({ "b.ts": "theirs\n" }, START))), "APPLY_CONFLICTS");
  expect(stash()).toEqual(before);
});

test("never overwrites what nobody tracks, nor what git ignores", async () => {
  writeFileSync(at("fresh.ts"), "mine\n");
  writeFileSync(at("out.log"), "mine\n");
  await refused(() => apply(area.changes(area.head, files({ "fresh.ts": "theirs\n" }, START))), "APPLY_CONFLICTS");
  const error = await refused(
    () => apply(area.changes(area.head, files({ "out.log": "theirs\n" }, START))),
    "APPLY_BLOCKED",
  );
  expect(error.message).toContain("out.log is there, and not known to git");
  mkdirSync(at("made"));
  writeFileSync(at("made/x.log"), "mine\n");
  await refused(() => apply(area.changes(area.head, files({ made: "theirs\n" }, START))), "APPLY_BLOCKED");
  mkdirSync(at("ж"));
  writeFileSync(at("ж/日本.log"), "mine\n");
  const name = Buffer.from("ж/日本.log").toString("latin1");
  const odd = await refused(
    () => apply(area.changes(area.head, files({ [name]: "theirs\n" }, START))),
    "APPLY_BLOCKED",
  );
  expect(odd.message).toContain("ж/日本.log is there, and not known to git");
});

test("applies changes to ignored files that the session was given, and stages none of them", async () => {
  writeFileSync(at("kept.log"), "mine\n");
  writeFileSync(at("gone.log"), "mine\n");
  const storeDirectory = join(area.top, "store");
  const include = ["kept.log", "gone.log"];
  const snapshot = await takeSnapshot({ path: area.directory, storeDirectory, include, signal });
  area.borrowed = join(storeDirectory, "objects");
  const result = files({ "kept.log": "mine\ntheirs\n", "a.ts": "2\n" }, START);
  const session = { ...area.changes(snapshot.untracked, result), headCommitId: snapshot.head! };
  area.borrowed = "";
  const before = area.state();
  await apply(session, { stage: true, startStores: [join(storeDirectory, "objects")] });
  expect([read("kept.log"), existsSync(at("gone.log"))]).toEqual(["mine\ntheirs\n", false]);
  expect(area.git("status", "--porcelain")).toBe("M  a.ts\n");
  await undo();
  expect(area.state()).toEqual(before);
});

test("names a file by its path where one side has a file and the other a directory or a link", async () => {
  const cases: [work: () => void, session: Files, path: string][] = [
    [
      () => {
        rmSync(at("lib"), { recursive: true });
        writeFileSync(at("lib"), "mine\n");
      },
      files({ "lib/c.ts": "c2\n" }, START),
      "lib",
    ],
    [
      () => {
        mkdirSync(at("new"));
        writeFileSync(at("new/x.ts"), "mine\n");
      },
      files({ new: "theirs\n" }, START),
      "new",
    ],
    [() => symlinkSync("a.ts", at("new")), files({ new: "theirs\n" }, START), "new"],
  ];
  for (const [work, result, path] of cases) {
    const session = area.changes(area.head, result);
    work();
    const { conflicts } = (await refused(() => apply(session), "APPLY_CONFLICTS")) as ApplyConflictsError;
    expect(conflicts.map((conflict) => conflict.path)).toContain(path);
    expect(JSON.stringify(conflicts)).not.toMatch(/~(yours|session)/);
    expect(conflicts.find((conflict) => conflict.path === path)?.messages).not.toEqual([]);
    for (const name of ["lib", "new"]) rmSync(at(name), { recursive: true, force: true });
    area.git("checkout", "-q", "--", ".");
  }
});

test("follows no link on the way to a file, and writes none through one", async () => {
  const outside = join(area.top, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "c.ts"), "c\n");
  rmSync(at("lib"), { recursive: true });
  symlinkSync(outside, at("lib"));
  writeFileSync(at(".gitignore"), "*.log\n/lib\n");
  const session = area.changes(area.head, files({ "lib/d.ts": "d\n" }, START));
  await refused(() => apply(session), "APPLY_BLOCKED");
  expect(readdirSync(outside)).toEqual(["c.ts"]);
  unlinkSync(at("lib"));
  area.git("checkout", "-q", "--", ".");
  // A file that is a link by now is not written through.
  unlinkSync(at("b.ts"));
  symlinkSync(join(outside, "c.ts"), at("b.ts"));
  await refused(() => apply(area.changes(area.head, files({ "b.ts": "x\n" }, START))), "APPLY_CONFLICTS");
  expect(readFileSync(join(outside, "c.ts"), "utf8")).toBe("c\n");
});

test("leaves alone what the user is in the middle of, and makes a branch all the same", async () => {
  const session = area.changes(area.head, files({ "b.ts": "x\n" }, START));
  area.git("switch", "-qc", "other");
  writeFileSync(at("a.ts"), "other\n");
  area.git("commit", "-qam", "other");
  const mail = area.git("format-patch", "-1", "--stdout");
  area.git("switch", "-q", "main");
  writeFileSync(at("a.ts"), "mine\n");
  area.git("commit", "-qam", "mine");
  expect(() => area.gitWith({ input: Buffer.from(mail) }, "am")).toThrow();
  const error = await refused(() => apply(session), "GIT_UNDER_WAY");
  expect(error.message).toContain("git am");
  await branch(session);
  expect(existsSync(at(".git/rebase-apply/applying"))).toBe(true);
  area.git("am", "--abort");
  expect(() => area.git("merge", "other")).toThrow();
  await refused(() => apply(session), "GIT_UNDER_WAY");
  area.git("merge", "--abort");
  expect(() => area.git("cherry-pick", "other")).toThrow();
  await refused(() => apply(session), "GIT_UNDER_WAY");
  area.git("cherry-pick", "--abort");
  await apply(session);
});

test("says who holds the index, and waits for nobody", async () => {
  writeFileSync(at(".git/index.lock"), "");
  const error = await refused(() => apply(area.changes(area.head, files({ "b.ts": "x\n" }, START))), "INDEX_LOCKED");
  expect(error.message).toContain("index.lock");
});

test("leaves no part of an index in a repository whose index is split", async () => {
  const session = area.changes(area.head, files({ "b.ts": "x\n" }, START));
  area.git("config", "core.splitIndex", "true");
  area.git("update-index", "--split-index");
  const before = area.state();
  await apply(session);
  await undo();
  await apply(session, { stage: true });
  expect(area.git("--no-optional-locks", "diff", "--cached", "--name-only")).toBe("b.ts\n");
  await undo();
  expect(area.state()).toEqual(before);
});

test("applies to a linked worktree, and to nothing but that", async () => {
  const linked = join(area.top, "linked");
  area.git("worktree", "add", "-q", linked, "-b", "linked");
  const before = area.state();
  const session = area.changes(area.head, files({ "b.ts": "x\n" }, START));
  await apply(session, { stage: true, directory: linked });
  expect(readFileSync(join(linked, "b.ts"), "utf8")).toBe("x\n");
  expect(execFileSync("git", ["status", "--porcelain"], { cwd: linked, encoding: "utf8" })).toBe("M  b.ts\n");
  const mine = (state: Map<string, string>) =>
    [...state].filter(([path]) => !path.startsWith(".git/worktrees/linked/"));
  expect(mine(area.state())).toEqual(mine(before));
  await undo(undefined, linked);
  expect(execFileSync("git", ["status", "--porcelain"], { cwd: linked, encoding: "utf8" })).toBe("");
});

test("writes line ends and filters as the user's git does, and runs no hook", async () => {
  const ran = join(area.top, "ran");
  const hook = `#!/bin/sh\ntouch '${ran}'\n`;
  for (const name of ["post-index-change", "post-checkout", "reference-transaction", "pre-commit"]) {
    writeFileSync(at(`.git/hooks/${name}`), hook, { mode: 0o755 });
  }
  area.git("config", "filter.upper.smudge", "tr a-z A-Z");
  area.git("config", "filter.upper.clean", "tr A-Z a-z");
  rmSync(ran, { force: true });
  const result = files(
    { ".gitattributes": "*.txt text eol=crlf\n*.up filter=upper\n", "x.txt": "1\n2\n", "x.up": "shout\n" },
    START,
  );
  const session = area.changes(area.head, result);
  rmSync(ran, { force: true });
  await apply(session, { stage: true });
  await branch(session);
  expect(existsSync(ran)).toBe(false);
  expect([read("x.txt"), read("x.up")]).toEqual(["1\r\n2\r\n", "SHOUT\n"]);
  expect(area.git("status", "--porcelain")).toBe("A  .gitattributes\nA  x.txt\nA  x.up\n");
});

test("keeps the mode of a private file, and gives and takes the right to execute", async () => {
  chmodSync(at("b.ts"), 0o600);
  const result = files({ "b.ts": "x\n" }, START);
  result.set("a.ts", { mode: "100755", content: START.get("a.ts")!.content });
  await apply(area.changes(area.head, result));
  const modes = () => [area.state().get("a.ts"), area.state().get("b.ts")].map((text) => text?.split(" ")[0]);
  expect(modes()).toEqual([expect.stringMatching(/^1007/), "100600"]);
  await undo();
  expect(modes()).toEqual([expect.stringMatching(/^1006/), "100600"]);
});

test("does not take back what was changed since, and names it", async () => {
  const session = area.changes(area.head, files({ "a.ts": "x\n", "b.ts": "y\n" }, START));
  await apply(session, { stage: true });
  writeFileSync(at("b.ts"), "more\n");
  const error = await refused(() => undo(), "UNDO_BLOCKED");
  expect(error.message).toContain("b.ts");
  expect(error.message).not.toContain("a.ts");
  writeFileSync(at("b.ts"), "y\n");
  // What the user has staged of another file since then stays.
  writeFileSync(at("lib/c.ts"), "mine\n");
  area.git("add", "lib/c.ts");
  await undo();
  expect(area.git("status", "--porcelain")).toBe("M  lib/c.ts\n");
});

test("does not take back what was staged otherwise since", async () => {
  await apply(area.changes(area.head, files({ "a.ts": "x\n" }, START)), { stage: true });
  writeFileSync(at("a.ts"), "y\n");
  area.git("add", "a.ts");
  writeFileSync(at("a.ts"), "x\n");
  const error = await refused(() => undo(), "UNDO_BLOCKED");
  expect(error.message).toContain("a.ts was staged otherwise");
});

test("stages a change beside what is staged of the same file in parts", async () => {
  const lines = Array.from({ length: 20 }, (_, n) => `line ${n}\n`);
  area.put(files({ "long.ts": lines.join("") }, START));
  area.git("add", "-A");
  area.git("commit", "-qm", "long");
  const session = area.changes(area.head, files({ "long.ts": lines.with(2, "session\n").join("") }, START));
  writeFileSync(at("long.ts"), lines.with(10, "staged\n").join(""));
  area.git("add", "long.ts");
  writeFileSync(at("long.ts"), lines.with(10, "staged\n").with(18, "not staged\n").join(""));
  await apply(session, { stage: true });
  expect(area.git("show", ":long.ts")).toBe(lines.with(2, "session\n").with(10, "staged\n").join(""));
  expect(read("long.ts")).toBe(lines.with(2, "session\n").with(10, "staged\n").with(18, "not staged\n").join(""));
});

test("a patch of another tree than the agent named is not applied", async () => {
  const session = area.changes(area.head, files({ "b.ts": "x\n" }, START));
  await refused(() => apply({ ...session, treeId: area.tree(START) }), "PATCH_MISMATCH");
  await refused(() => branch({ ...session, treeId: area.tree(START) }), "PATCH_MISMATCH");
  await refused(() => apply({ ...session, patch: Buffer.from("") }), "PATCH_MISMATCH");
});

test("says where the start is to be fetched from", async () => {
  const session = area.changes(area.head, files({ "b.ts": "x\n" }, START));
  const start = { startCommitId: "1".repeat(40), startFrom: "https://example.com/a.git" };
  const error = await refused(() => apply({ ...session, ...start }), "START_NOT_FOUND");
  expect(error).toMatchObject({
    help: expect.stringContaining(`git fetch https://example.com/a.git ${"1".repeat(40)}`),
  });
});

test("takes a link for a link, and a directory for a file", async () => {
  const result = files({ "a.ts/inside.ts": "x\n", lib: "a file now\n" }, START);
  for (const path of ["a.ts", "lib/c.ts"]) result.delete(path);
  result.set("b.ts", { mode: "120000", content: "../../../etc/passwd" });
  const before = area.state();
  await apply(area.changes(area.head, result));
  expect([read("a.ts/inside.ts"), read("lib"), readlinkSync(at("b.ts"))]).toEqual([
    "x\n",
    "a file now\n",
    "../../../etc/passwd",
  ]);
  await undo();
  expect(area.state()).toEqual(before);
});

test("what started from uncommitted work becomes a branch with that as a commit of its own, if there was any", async () => {
  const storeDirectory = join(area.top, "store");
  const session = async (result: Files) => {
    const snapshot = await takeSnapshot({ path: area.directory, storeDirectory, signal });
    area.borrowed = join(storeDirectory, "objects");
    const changes = { ...area.changes(snapshot.untracked, result), headCommitId: snapshot.head! };
    area.borrowed = "";
    return changes;
  };
  const clean = await branch(await session(files({ "b.ts": "x\n" }, START)), "claude/clean", [
    join(storeDirectory, "objects"),
  ]);
  expect(area.git("log", "--format=%s", clean.branch)).toBe("Fix it\nstart\n");
  writeFileSync(at("a.ts"), "mine\n");
  area.git("add", "a.ts");
  writeFileSync(at("mine.ts"), "mine\n");
  const before = area.state();
  const result = files({ "a.ts": "mine\n", "mine.ts": "mine\nand theirs\n" }, START);
  const dirty = await branch(await session(result), "claude/dirty", [join(storeDirectory, "objects")]);
  expect(area.git("log", "--format=%s", dirty.branch)).toBe(
    "Fix it\nUncommitted work that a session started with\nstart\n",
  );
  expect(area.git("diff", "--name-only", "claude/dirty~1", "claude/dirty")).toBe("mine.ts\n");
  expect(area.git("diff", "--name-only", "main", "claude/dirty~1")).toBe("a.ts\nmine.ts\n");
  area.git("fsck", "--strict", "--no-dangling");
  await undo();
  expect(area.state()).toEqual(before);
});

/** Applies while something else is done once the files are about to be written. */
async function applyMeanwhile(session: SessionChanges, meanwhile: () => void) {
  const watched = join(area.directory, ".git");
  const repository = await findRepository(area.directory, { signal });
  await using prepared = await prepareChanges(repository, session, { signal });
  using journal = Journal.open(area.undoDirectory, repository.workTree);
  const realLink = fs.linkSync;
  fs.linkSync = (from, to) => {
    realLink(from, to);
    if (to.toString().startsWith(watched)) meanwhile();
  };
  syncBuiltinESMExports();
  try {
    return await applyToWorkTree(repository, prepared, { stage: false, journal, signal });
  } finally {
    fs.linkSync = realLink;
    syncBuiltinESMExports();
  }
}

test("takes back all it has written when somebody writes one of the files meanwhile, and leaves theirs", async () => {
  const result = files({ "a.ts": "x\n", "b.ts": "y\n", "new.ts": "n\n" }, START);
  result.delete("lib/c.ts");
  const session = area.changes(area.head, result);
  const before = area.state();
  const applied = applyMeanwhile(session, () => writeFileSync(at("a.ts"), "theirs\n"));
  await expect(applied).rejects.toMatchObject({ reason: "APPLY_RACED" });
  expect(read("a.ts")).toBe("theirs\n");
  writeFileSync(at("a.ts"), START.get("a.ts")!.content);
  expect(area.state()).toEqual(before);
  await refused(() => undo(), "NOTHING_TO_UNDO");
  await apply(session);
});

test("removes no other's lock, and can be taken back when its own was removed meanwhile", async () => {
  const before = area.state();
  await applyMeanwhile(area.changes(area.head, files({ "b.ts": "x\n" }, START)), () => {
    unlinkSync(at(".git/index.lock"));
    writeFileSync(at(".git/index.lock"), "another's");
  });
  expect(read(".git/index.lock")).toBe("another's");
  unlinkSync(at(".git/index.lock"));
  await undo();
  expect(area.state()).toEqual(before);
});

test("can be taken back when the disk is too full to note that it is done", async () => {
  const before = area.state();
  const real = fs.writeFileSync;
  const applied = applyMeanwhile(area.changes(area.head, files({ "b.ts": "x\n" }, START)), () => {
    fs.writeFileSync = (file, ...rest) => {
      if (String(file).endsWith("journal.json.new")) throw new Error("ENOSPC");
      real(file, ...rest);
    };
    syncBuiltinESMExports();
  }).finally(() => {
    fs.writeFileSync = real;
    syncBuiltinESMExports();
  });
  await expect(applied).rejects.toThrow("ENOSPC");
  await expect(undo()).resolves.toMatchObject({ unfinished: true });
  expect(area.state()).toEqual(before);
});

test("writes nothing into another repository that lies in the work tree", async () => {
  writeFileSync(at(".gitignore"), "vendor/\n");
  mkdirSync(at("vendor"));
  execFileSync("git", ["init", "-q"], { cwd: at("vendor") });
  const error = await refused(
    () => apply(area.changes(area.head, files({ "vendor/x.ts": "x\n" }, START))),
    "APPLY_BLOCKED",
  );
  expect(error.message).toContain("vendor/x.ts lies in another repository, vendor");
});

test("leaves alone a cherry-pick of several commits that is between two of them", async () => {
  const session = area.changes(area.head, files({ "lib/c.ts": "x\n" }, START));
  area.git("switch", "-qc", "other");
  for (const name of ["a.ts", "b.ts"]) {
    writeFileSync(at(name), "other\n");
    area.git("commit", "-qam", name);
  }
  area.git("switch", "-q", "main");
  writeFileSync(at("a.ts"), "mine\n");
  area.git("commit", "-qam", "mine");
  expect(() => area.git("cherry-pick", "main..other")).toThrow();
  area.git("commit", "-qam", "resolved");
  await refused(() => apply(session), "GIT_UNDER_WAY");
});

test("takes no branch below a name for the name, and makes none of a HEAD without commits", async () => {
  const session = area.changes(area.head, files({ "b.ts": "x\n" }, START));
  await branch(session, "claude/x");
  await expect(branch(session, "claude")).rejects.toMatchObject({ reason: "GIT_FAILED" });
  area.git("switch", "-q", "--orphan", "unborn");
  await refused(() => branch(session, "unborn"), "BRANCH_EXISTS");
});

test("keeps an answer with conflicts short, whatever the session has written", async () => {
  const names = Array.from({ length: 30 }, (_, n) => `f${n}.ts`);
  const all = (content: string) => files(Object.fromEntries(names.map((name) => [name, content])), START);
  area.put(all("x\n"));
  area.git("add", "-A");
  area.git("commit", "-qm", "many");
  const session = area.changes(area.head, all(`${"y".repeat(100_000)}\n`));
  area.put(all("z\n"));
  const error = (await refused(() => apply(session), "APPLY_CONFLICTS")) as ApplyConflictsError;
  expect(error.conflicts.map(({ path }) => path).sort()).toEqual([...names].sort());
  expect(JSON.stringify(error.conflicts).length).toBeLessThan(30_000);
});

test("repeats no text of a container that poses as a commit's id", async () => {
  const session = { ...area.changes(area.head, files({ "b.ts": "x\n" }, START)), startCommitId: "\x1b]0;evil\x07" };
  const error = await refused(() => apply(session), "START_NOT_FOUND");
  expect(error.message).not.toContain("evil");
});

test("still tells a file that was changed in the moment in which the index was written", async () => {
  const session = area.changes(area.head, files({ "a.ts": "x\n" }, START));
  const [moment, same] = [new Date(1_700_000_000_000), "B\n"];
  area.git("config", "core.trustctime", "false");
  utimesSync(at("b.ts"), moment, moment);
  area.git("add", "b.ts");
  area.git("update-index", "--refresh");
  writeFileSync(at("b.ts"), same);
  utimesSync(at("b.ts"), moment, moment);
  utimesSync(at(".git/index"), moment, moment);
  await apply(session, { stage: true });
  expect(area.git("--no-optional-locks", "diff", "--name-only")).toBe("b.ts\n");
  await undo();
  expect(area.git("--no-optional-locks", "diff", "--name-only")).toBe("b.ts\n");
});
