import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import type { Files } from "../../test/git/random-trees.ts";
import { UserArea } from "../../test/git/user-area.ts";
import { type FinishOptions, finishWith } from "../../test/support/finished-session.ts";
import { Plain } from "../../test/support/screen.ts";
import { type AppError, ContainerSpecSchema, SessionSpecSchema, TakenChanges_Kind } from "../../proto/index.ts";
import { applyCommand, savePatchCommand, undoCommand } from "./apply.ts";
import { exitCodeOf } from "./exit-codes.ts";

const START: Files = new Map([["a.ts", { mode: "100644", content: "one\ntwo\nthree\n" }]]);
let area: UserArea;
let sessions: MemorySessions;
let io: { stdin: NodeJS.ReadStream; stdout: Plain; stderr: Plain; env: NodeJS.ProcessEnv; signal: AbortSignal };

beforeEach(() => {
  area = new UserArea(START);
  sessions = new MemorySessions();
  const { signal } = new AbortController();
  io = { stdin: process.stdin, stdout: new Plain(), stderr: new Plain(), env: {}, signal };
});
afterEach(() => {
  sessions[Symbol.dispose]();
  area[Symbol.dispose]();
});

const finished = (texts: Record<string, string>, rest: FinishOptions = {}) =>
  finishWith(sessions, area, START, texts, { task: "Fix the greeting, please! It is wrong", ...rest });

const request = (sessionId: string, rest: { as?: "branch" | "worktree"; dryRun?: boolean; paths?: string[] } = {}) => ({
  sessionId,
  directory: area.directory,
  as: "branch" as const,
  stage: false,
  paths: [],
  dryRun: false,
  ...rest,
});
const snapshotOf = ({ headCommitId, directory = area.directory }: { headCommitId: string; directory?: string }) => {
  const commits = { indexCommitId: area.head, trackedCommitId: area.head, untrackedCommitId: area.head };
  return { store: "0".repeat(32), branch: "refs/heads/main", headCommitId, ...commits, receipt: { directory } };
};
const options = (json = false) => ({ json, stateDirectory: area.top });

test("makes a branch named after the task, and says first what would run", async () => {
  const id = await finished({
    "a.ts": "1\ntwo\nthree\n",
    ".envrc": "echo hi\n",
    ".github/workflows/ci.yml": "on: push\n",
  });
  const branch = `claude/fix-the-greeting-please-it-${id.slice(-6).toLowerCase()}`;
  expect(await applyCommand(sessions, request(id), options(), io)).toBe(0);
  expect(io.stdout.text).toMatch(new RegExp(`^${branch}: 3 files in one commit on ${area.head.slice(0, 12)}\n`));
  expect(io.stdout.text).toContain(`git merge ${branch}`);
  expect(io.stderr.text).toContain("  .envrc: your shell runs it (direnv)\n  .github/workflows/ci.yml: runs in CI\n");
  expect(area.git("log", "-1", "--format=%s", branch)).toBe("Fix the greeting, please! It is wrong\n");
  expect(area.has(".envrc")).toBe(false);
  expect(await undoCommand(sessions, { sessionId: id, directory: area.directory, ...options() }, io)).toBe(0);
  expect(area.git("branch", "--list", "claude/*")).toBe("");
});

test("a second apply names the commit that the branch stands on", async () => {
  const headCommitId = area.head;
  area.put(new Map([["a.ts", { mode: "100644", content: "zero\n" }]]));
  area.git("commit", "-qam", "stands for uncommitted work");
  const id = await finished({ "b.ts": "b\n" }, { repository: { snapshot: snapshotOf({ headCommitId }) } });
  const apply = async () => {
    const json = new Plain();
    expect(await applyCommand(sessions, request(id), options(true), { ...io, stdout: json })).toBe(0);
    return JSON.parse(json.text) as { branch: string; start_commit_id: string; already?: boolean };
  };
  const { branch } = await apply();
  // As if it had been made at another time.
  const date = { GIT_COMMITTER_DATE: "1700000000 +0000" };
  const commit = (of: string, parent: string) =>
    area.gitWith({ env: date }, "commit-tree", `${of}^{tree}`, "-p", parent, "-m", "x").trim();
  const uncommitted = commit(`${branch}^`, headCommitId);
  area.git("update-ref", `refs/heads/${branch}`, commit(branch, uncommitted));
  expect(await apply()).toMatchObject({ already: true, start_commit_id: uncommitted });
});

test("a session of another directory is applied only to a clone of that", async () => {
  const session = (headCommitId: string) => {
    const snapshot = snapshotOf({ headCommitId, directory: "/elsewhere" });
    return finished({ "b.ts": "b\n" }, { repository: { snapshot } });
  };
  for (const headCommitId of ["", "1".repeat(40)]) {
    const id = await session(headCommitId);
    for (const as of ["branch", "worktree"] as const) {
      await expect(applyCommand(sessions, request(id, { as }), options(), io)).rejects.toMatchObject({
        reason: "START_NOT_FOUND",
        message: `Session ${id} worked on /elsewhere, and ${area.directory} is no clone of that.`,
      });
    }
  }
  expect(area.git("branch", "--list", "claude/*")).toBe("");
  expect(await applyCommand(sessions, request(await session(area.head)), options(), io)).toBe(0);
});

test("what was applied or saved counts as taken, until it is given back; a part of it does not", async () => {
  const id = await finished({ "a.ts": "1\ntwo\nthree\n", "lib/b.ts": "b\n" });
  const taken = async () => (await sessions.get(id)).taken;
  const undo = () => undoCommand(sessions, { sessionId: id, directory: area.directory, ...options() }, io);
  await applyCommand(sessions, request(id, { dryRun: true }), options(), io);
  await applyCommand(sessions, request(id, { as: "worktree", paths: ["lib"] }), options(), io);
  await undo();
  expect(await taken()).toBeUndefined();
  await applyCommand(sessions, request(id), options(), io);
  const place = `claude/fix-the-greeting-please-it-${id.slice(-6).toLowerCase()} in ${area.directory}`;
  expect(await taken()).toMatchObject({ kind: TakenChanges_Kind.BRANCH, place });
  await undo();
  expect(await taken()).toBeUndefined();
  await applyCommand(sessions, request(id, { as: "worktree" }), options(), io);
  expect(await taken()).toMatchObject({ kind: TakenChanges_Kind.WORK_TREE, place: area.directory });
  await undo();
  const file = join(area.top, "saved.patch");
  await savePatchCommand(sessions, { sessionId: id, file, stateDirectory: area.top }, io);
  expect(await taken()).toMatchObject({ kind: TakenChanges_Kind.SAVED, place: file });
  expect(io.stderr.text).not.toContain("note");
});

test("what was taken elsewhere as well stays taken when it is given back here, also without a host", async () => {
  const id = await finished({ "a.ts": "1\ntwo\nthree\n" });
  await applyCommand(sessions, request(id, { as: "worktree" }), options(), io);
  await sessions.markTaken(id, { kind: TakenChanges_Kind.BRANCH, place: "claude/x in /elsewhere" });
  await undoCommand(sessions, { sessionId: undefined, directory: area.directory, ...options() }, io);
  expect((await sessions.get(id)).taken?.place).toBe("claude/x in /elsewhere");
  await applyCommand(sessions, request(id, { as: "worktree" }), options(), io);
  const away = () => Promise.reject(new Error("no host"));
  const nobody = Object.assign(Object.create(sessions) as MemorySessions, { get: away, markTaken: away });
  await undoCommand(nobody, { sessionId: undefined, directory: area.directory, ...options() }, io);
  expect(io.stderr.text).toContain("The host could not note that");
  expect(area.git("status", "--porcelain")).toBe("");
});

test("writes into the files, only what is at the paths that were named, and takes that back", async () => {
  const id = await finished({ "a.ts": "1\ntwo\nthree\n", "lib/b.ts": "b\n" });
  const some = request(id, { as: "worktree", paths: ["lib"] });
  expect(await applyCommand(sessions, some, options(true), io)).toBe(0);
  expect(JSON.parse(io.stdout.text)).toMatchObject({
    session_id: id,
    applied: "worktree",
    files: [{ path: "lib/b.ts", kind: "added" }],
    file_count: 1,
  });
  expect(area.git("status", "--porcelain")).toBe("?? lib/\n");
  await undoCommand(sessions, { sessionId: undefined, directory: area.directory, ...options() }, io);
  expect(area.git("status", "--porcelain")).toBe("");
  for (const path of ["../x", "/etc"]) {
    const outside = applyCommand(sessions, request(id, { paths: [path] }), options(), io);
    await expect(outside, path).rejects.toMatchObject({ reason: "PATH_OUTSIDE" });
  }
});

test("shows conflicts with their lines, with an exit code of their own, and a branch is made all the same", async () => {
  const id = await finished({ "a.ts": "one\nTWO\nthree\n" });
  writeFileSync(join(area.directory, "a.ts"), "one\nzwei\nthree\n");
  const refused = (await applyCommand(sessions, request(id, { as: "worktree" }), options(), io).catch(
    (error: unknown) => error,
  )) as AppError;
  expect([refused.reason, exitCodeOf(refused)]).toEqual(["APPLY_CONFLICTS", 5]);
  expect(io.stdout.text).toContain("conflict: a.ts\n");
  expect(io.stdout.text).toContain("  zwei\n  =======\n  TWO\n");
  expect(await applyCommand(sessions, request(id, { dryRun: true }), options(), io)).toBe(5);
  expect(area.git("branch", "--list", "claude/*")).toBe("");
  expect(await applyCommand(sessions, request(id), options(), io)).toBe(0);
  expect(io.stdout.text).toContain("Does not go together with your files as they are now: a.ts");
});

test("says of an older agent's patch that it is not proven, and applies it", async () => {
  const id = await finished({ "a.ts": "1\n" }, { treeId: "" });
  expect(await applyCommand(sessions, request(id, { as: "worktree" }), options(), io)).toBe(0);
  expect(io.stderr.text).toContain("Not proven");
});

test("writes the patch to a new file, and over none", async () => {
  const id = await finished({ "a.ts": "1\n" });
  const file = join(area.top, "a.patch");
  expect(await savePatchCommand(sessions, { sessionId: id, file, stateDirectory: area.top }, io)).toBe(0);
  area.gitWith({ input: readFileSync(file) }, "apply", "--check");
  await expect(savePatchCommand(sessions, { sessionId: id, file, stateDirectory: area.top }, io)).rejects.toMatchObject(
    {
      reason: "FILE_UNUSABLE",
    },
  );
});

test("takes nothing of a session that has not finished, or whose patch is not what its list says", async () => {
  const spec = create(SessionSpecSchema, { task: "x" });
  const { id: live } = await sessions.create({ spec, container: create(ContainerSpecSchema) });
  await expect(applyCommand(sessions, request(live), options(), io)).rejects.toMatchObject({
    reason: "SESSION_NOT_FINISHED",
  });
  sessions.fail(live, "PATCH_MISMATCH");
  for (const run of [
    () => applyCommand(sessions, request(live), options(), io),
    () => savePatchCommand(sessions, { sessionId: live, file: join(area.top, "x"), stateDirectory: area.top }, io),
  ]) {
    await expect(run()).rejects.toMatchObject({ reason: "PATCH_MISMATCH" });
  }
});
