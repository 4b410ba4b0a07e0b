import { execFileSync } from "node:child_process";
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { callersWith } from "../../host/callers/callers.ts";
import { pageCaller, requireOwnUser } from "../../host/control/caller.ts";
import { ControlClient } from "../../host/control/control-client.ts";
import { hostError } from "../../host/control/control-error.ts";
import { ControlServer } from "../../host/control/control-server.ts";
import { storesDirectory } from "../../host/snapshots/snapshot-stores.ts";
import { LocalSource } from "../../host/source/local-source.ts";
import { ApplyChangesRequest_Target as Target } from "../../proto/control.ts";
import {
  FileChange_Kind,
  RepositorySpecSchema,
  type Session,
  SessionSpecSchema,
  TakenChanges_Kind,
} from "../../proto/index.ts";
import type { Files } from "../git/random-trees.ts";
import { UserArea } from "../git/user-area.ts";
import { finishWith, type FinishOptions } from "../support/finished-session.ts";
import { NO_UPLOADS } from "../support/no-snapshots.ts";
import { QUIET_HOST } from "../support/quiet-host.ts";
import { MemorySessions } from "./memory-sessions.ts";

const TOKEN = "a-token-of-the-tests";
const START: Files = new Map([["a.ts", { mode: "100644", content: "one\ntwo\nthree\n" }]]);
let area: UserArea;
let sessions: MemorySessions;
let stack: AsyncDisposableStack;
let directories: ControlClient["directories"];
let port: number;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  area = stack.use(new UserArea(START));
  sessions = stack.use(new MemorySessions());
  const source = () => new LocalSource({ stateDirectory: area.top, home: area.top });
  const server = stack.use(
    new ControlServer({
      sessions,
      uploads: NO_UPLOADS,
      host: QUIET_HOST,
      directories: { source, stateDirectory: area.top },
      logger: pino({ level: "silent" }),
    }),
  );
  const path = join(area.top, "host.sock");
  await server.listenUnix(path);
  port = await server.listenTcp({ host: "127.0.0.1", port: 0, callers: callersWith(TOKEN) });
  ({ directories } = stack.use(new ControlClient(path)));
});
afterEach(() => stack.disposeAsync());

const finished = (texts: Record<string, string>, rest: FinishOptions = {}) =>
  finishWith(sessions, area, START, texts, { task: "Fix the greeting", repository: { snapshot: snapshot() }, ...rest });
const snapshot = (directory = area.directory) => {
  const commits = { indexCommitId: area.head, trackedCommitId: area.head, untrackedCommitId: area.head };
  return {
    store: "0".repeat(32),
    branch: "refs/heads/main",
    headCommitId: area.head,
    ...commits,
    receipt: { directory },
  };
};
const refusal = (call: Promise<unknown>) => call.then(() => undefined, hostError);
const taken = async (id: string) => (await sessions.get(id)).taken;

test("says what an apply would do, with conflicts and what would run; a branch is made, and taken back", async () => {
  const sessionId = await finished({ "a.ts": "one\nTWO\nthree\n", ".envrc": "echo hi\n" });
  area.put(new Map([["a.ts", { mode: "100644", content: "one\nzwei\nthree\n" }]]));
  const before = area.state();
  const dry = await directories.applyChanges({ sessionId, dryRun: true });
  expect(dry).toMatchObject({
    applied: Target.UNSPECIFIED,
    repository: area.directory,
    files: [
      { path: ".envrc", kind: FileChange_Kind.ADDED },
      { path: "a.ts", kind: FileChange_Kind.MODIFIED },
    ],
    fileCount: 2,
    runsCode: [{ name: ".envrc", why: "your shell runs it (direnv)" }],
    conflicts: [{ path: "a.ts", hunks: [expect.stringContaining("zwei\n=======\nTWO")] }],
  });
  const files = { sessionId, target: Target.WORK_TREE };
  expect(await refusal(directories.applyChanges(files))).toMatchObject({ reason: "APPLY_CONFLICTS" });
  expect(area.state()).toEqual(before);
  expect(await taken(sessionId)).toBeUndefined();

  const branch = `claude/fix-the-greeting-${sessionId.slice(-6).toLowerCase()}`;
  expect(await directories.applyChanges({ sessionId })).toMatchObject({ applied: Target.BRANCH, branch });
  expect(area.git("show", `${branch}:a.ts`)).toBe("one\nTWO\nthree\n");
  expect(await taken(sessionId)).toMatchObject({ kind: TakenChanges_Kind.BRANCH });
  expect(await directories.undoApply({ sessionId })).toMatchObject({ repository: area.directory, branch });
  expect(area.state()).toEqual(before);
  expect(await taken(sessionId)).toBeUndefined();
});

test("changes go into the files of the repository that is named, and are taken back where they went", async () => {
  const sessionId = await finished({ "a.ts": "1\ntwo\nthree\n", "lib/b.ts": "b\n" });
  const clone = join(area.top, "clone");
  area.git("clone", "-q", area.directory, clone);
  const wanted = { sessionId, directory: clone, target: Target.WORK_TREE, paths: ["lib"] };
  expect(await directories.applyChanges(wanted)).toMatchObject({ applied: Target.WORK_TREE, repository: clone });
  const status = (directory: string) => execFileSync("git", ["status", "--porcelain"], { cwd: directory, encoding: "utf8" }); // prettier-ignore
  expect([status(clone), status(area.directory)]).toEqual(["?? lib/\n", ""]);
  expect(await directories.undoApply({ sessionId })).toMatchObject({ repository: clone, branch: "" });
  expect(status(clone)).toBe("");
  expect(await refusal(directories.undoApply({ sessionId }))).toMatchObject({ reason: "NOTHING_TO_UNDO" });
});

test("a session starts from a directory with what is not committed, as often as is asked for", async () => {
  writeFileSync(join(area.directory, "new.ts"), "new\n");
  writeFileSync(join(area.directory, ".gitignore"), "*.log\n");
  writeFileSync(join(area.directory, "kept.log"), "kept\n");
  // What is said of the repository beside its depth does not count.
  const spec = create(SessionSpecSchema, { task: "x", repository: { uri: "https://example.com/x", depth: -1 } });
  const wanted = { directory: area.directory, includePaths: ["kept.log"], spec, attemptCount: 2 };
  const { sessions: made } = await directories.startSessions(wanted);
  expect(made.map(({ spec }) => spec?.task)).toEqual(["x", "x"]);
  const { depth, snapshot } = made[0]?.spec?.repository ?? create(RepositorySpecSchema);
  expect([depth, snapshot?.receipt?.directory]).toEqual([-1, area.directory]);
  const store = join(storesDirectory(area.top), snapshot!.store);
  const names = area.git(`--git-dir=${store}`, "ls-tree", "-r", "--name-only", snapshot!.untrackedCommitId);
  expect(names).toBe(".gitignore\na.ts\nkept.log\nnew.ts\n");
  expect(await directories.listDirectories({})).toMatchObject({ directories: [{ path: area.directory }] });
  const none = await directories.startSessions({ spec: create(SessionSpecSchema, { task: "y" }) });
  expect(none.sessions[0]?.spec?.repository).toBeUndefined();
});

test("what is no directory that can be meant is refused", async () => {
  const spec = create(SessionSpecSchema, { task: "x" });
  const file = join(area.top, "file");
  writeFileSync(file, "");
  const home = join(area.top, "home");
  symlinkSync(realpathSync(homedir()), home);
  for (const directory of ["src", "../x", "/", "~", home, file, join(area.top, "nowhere"), "https://example.com/x"]) {
    expect(await refusal(directories.startSessions({ directory, spec })), directory).toMatchObject({
      reason: "DIRECTORY_INVALID",
      kind: "INVALID_ARGUMENT",
    });
  }
  const apart = join(area.top, "apart");
  mkdirSync(apart);
  const sessionId = await finished({ "a.ts": "1\n" });
  expect(await refusal(directories.applyChanges({ sessionId, directory: apart }))).toMatchObject({ reason: "NOT_A_REPOSITORY" }); // prettier-ignore
  // Where it was sent from another machine, its directory is none of this one.
  const sent = { ...snapshot(), store: "", senderStore: "1".repeat(32) };
  for (const repository of [{ uri: "https://example.com/x" }, { snapshot: sent }]) {
    const elsewhere = await finished({ "a.ts": "1\n" }, { repository });
    expect(await refusal(directories.applyChanges({ sessionId: elsewhere }))).toMatchObject({
      reason: "DIRECTORY_UNKNOWN",
    });
  }
  expect(await refusal(directories.startSessions({ directory: area.directory, spec, attemptCount: 9 }))).toMatchObject({
    reason: "LIMIT_INVALID",
  });
});

test("attempts are ranked, with what of them does not go together; also where nothing can be merged", async () => {
  const large = await finished({ "a.ts": "1\n2\n3\n", "b.ts": "b\n".repeat(9) });
  const small = await finished({ "a.ts": "one\n2\nthree\n" });
  const nothing = await finished({});
  const compared = await directories.compareSessions({ sessionIds: [nothing, small, large] });
  expect(compared).toMatchObject({
    rankedSessionIds: [small, large, nothing],
    firstIsGood: true,
    overlaps: [{ sessionIds: [small, large], paths: ["a.ts"], pathCount: 1, conflicts: [{ path: "a.ts" }] }],
    leftOut: [{ name: nothing }],
    mergeProblem: "",
  });
  expect(compared.orderedSessionIds.toSorted()).toEqual([large, small].toSorted());
  const away = await finished({ "a.ts": "1\n" }, { repository: { uri: "https://example.com/x" } });
  expect(await directories.compareSessions({ sessionIds: [away, nothing] })).toMatchObject({
    rankedSessionIds: [away, nothing],
    mergeProblem: expect.stringContaining("did not work on a directory of this machine") as string,
  });
});

test("a caller on TCP with a token is refused, whatever is asked, and nothing is done", async () => {
  const sessionId = await finished({ "a.ts": "1\n" });
  const token = () => Promise.resolve(TOKEN);
  const { directories: remote } = stack.use(new ControlClient({ url: `http://127.0.0.1:${port}`, token }));
  const before = area.state();
  const ids: Session[] = (await sessions.list({})).sessions;
  for (const call of [
    remote.listDirectories({}),
    remote.startSessions({ directory: area.directory, spec: { task: "x" } }),
    remote.applyChanges({ sessionId }),
    remote.applyChanges({ sessionId, dryRun: true }),
    remote.undoApply({ sessionId }),
    remote.compareSessions({ sessionIds: [sessionId] }),
  ]) {
    expect(await refusal(call)).toMatchObject({ reason: "CALLER_REMOTE", kind: "PERMISSION_DENIED" });
  }
  expect(area.state()).toEqual(before);
  expect((await sessions.list({})).sessions).toHaveLength(ids.length);
});

test("the page is the host's own user on loopback alone", () => {
  expect(() => requireOwnUser(pageCaller({ here: true }))).not.toThrow();
  expect(() => requireOwnUser(pageCaller({ here: false }))).toThrow("only there");
});
