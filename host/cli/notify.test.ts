import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { git } from "../../test/model/small-repository.ts";
import { Plain } from "../../test/support/screen.ts";
import {
  ContainerSpecSchema,
  FileChangeSchema,
  PendingRequest_Kind,
  PermissionRequestedSchema,
  SessionSpecSchema,
  Session_State,
  StateChangedSchema,
} from "../../proto/index.ts";
import { findProject } from "../source/project.ts";
import { EXIT } from "./command-io.ts";
import { notifyCommand } from "./notify.ts";

const OTHER = "0".repeat(32);

const start = async (sessions: MemorySessions, task: string, store = "") => {
  const id = "1".repeat(40);
  const commits = { indexCommitId: id, trackedCommitId: id, untrackedCommitId: id };
  const snapshot = { store, branch: "refs/heads/main", ...commits, receipt: { directory: "/somewhere" } };
  const repository = store === "" ? {} : { repository: { snapshot } };
  const spec = create(SessionSpecSchema, { task, ...repository });
  return (await sessions.create({ spec, container: create(ContainerSpecSchema) })).id;
};

/** Runs the command, with what it has printed. */
function notifying(sessions: MemorySessions, directory: string, given: string[] = [], env: NodeJS.ProcessEnv = {}) {
  const over = new AbortController();
  const stdout = new Plain();
  const io = { stdin: process.stdin, stdout, stderr: new Plain(), signal: over.signal, env };
  const ended = notifyCommand(sessions, given, { directory }, io);
  return {
    ended,
    lines: () => stdout.text.split("\n").slice(0, -1),
    async [Symbol.asyncDispose]() {
      over.abort();
      await ended;
    },
  };
}

test("says a line of this project's sessions and of those on no directory, and nothing of another's", async () => {
  const root = await realpath(await mkdtemp(join(tmpdir(), "claudecluster-notify-")));
  try {
    await git(root, "init", "-q");
    const below = join(root, "below");
    await mkdir(below);
    const project = await findProject(root, { signal: new AbortController().signal });
    using sessions = new MemorySessions();
    const ours = await start(sessions, "fix the\nparser \u001b[2J", project);
    const other = await start(sessions, "another project's", OTHER);
    const free = await start(sessions, "no repository");
    const permission = create(PermissionRequestedSchema, { requestId: "1", toolName: "Bash" });
    const waiting = create(StateChangedSchema, { state: Session_State.WAITING });
    sessions.say(ours, { case: "permissionRequested", value: permission }, { case: "stateChanged", value: waiting });
    expect((await sessions.get(ours)).pendingRequests[0]?.kind).toBe(PendingRequest_Kind.PERMISSION);
    await using notifying_ = notifying(sessions, below);
    const { lines } = notifying_;
    await vi.waitFor(() => expect(lines()).toHaveLength(1), 20_000);
    sessions.finish(other);
    sessions.finish(ours, Buffer.from("diff --git a/a b/a\n"), [create(FileChangeSchema, { path: "a" })]);
    sessions.fail(free, "TIMED_OUT");
    await vi.waitFor(() => expect(lines()).toHaveLength(3), 20_000);
    expect(lines()).toEqual([
      `Session ${ours} (fix the parser [2J) asks for a permission: decide_permission, or claudecluster allow ${ours}`,
      `Session ${ours} (fix the parser [2J) has succeeded, 1 file. get_session, or claudecluster show ${ours}, has the result; apply_changes, or claudecluster apply, takes its changes.`,
      `Session ${free} (no repository) has failed, TIMED_OUT. get_session, or claudecluster show ${free}, has the result.`,
    ]);
  } finally {
    await rm(root, { recursive: true });
  }
});

test("in no repository all sessions are meant, and of those that are named only they", async () => {
  using sessions = new MemorySessions();
  const [one, two] = [await start(sessions, "one", OTHER), await start(sessions, "two", OTHER)];
  await using all = notifying(sessions, tmpdir());
  await using named = notifying(sessions, tmpdir(), [two]);
  sessions.say(one, { case: "stateChanged", value: create(StateChangedSchema, { state: Session_State.WAITING }) });
  sessions.say(two, { case: "stateChanged", value: create(StateChangedSchema, { state: Session_State.WAITING }) });
  await vi.waitFor(() => expect([all.lines().length, named.lines().length]).toEqual([2, 1]), 20_000);
  expect(named.lines()[0]).toContain(two);
});

test("it ends with the Claude Code that has started it, also if that is killed", async () => {
  using sessions = new MemorySessions();
  const parent = spawn("sleep", ["60"]);
  const { ended } = notifying(sessions, tmpdir(), [], { CLAUDE_PID: String(parent.pid) });
  parent.kill("SIGKILL");
  await once(parent, "close");
  expect(await ended).toBe(EXIT.done);
});
