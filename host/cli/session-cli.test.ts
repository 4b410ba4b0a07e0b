import { Readable } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { saying } from "../../test/contract/sessions-contract.ts";
import { makeHostDirectories } from "../../test/support/host-directories.ts";
import { Plain, Screen } from "../../test/support/screen.ts";
import {
  ChangesUpdatedSchema,
  CloneProgressSchema,
  ContainerSpecSchema,
  FileChange_Kind,
  MeteredUsageSchema,
  PermissionRequestedSchema,
  Phase,
  PhaseChangedSchema,
  QuestionAskedSchema,
  SessionFinishedSchema,
  SessionResultSchema,
  SessionSpecSchema,
  Session_State,
  StateChangedSchema,
  TurnFinishedSchema,
  UsageSchema,
  UsageUpdatedSchema,
} from "../../proto/index.ts";
import { printResult } from "../present/print-result.ts";
import { readSummary } from "../present/read-session.ts";
import { awaitDecided } from "../session/await-session.ts";
import type { CommandIo } from "./command-io.ts";
import { decideCommand } from "./decide.ts";
import { diffCommand } from "./diff.ts";
import { removeCredentialCommand, setCredentialCommand } from "./credential.ts";
import { followSessions } from "./follow.ts";
import { listCommand } from "./list.ts";
import { main } from "./program.ts";
import { resolveEach, resolveSession } from "../session/resolve-session.ts";
import { runCommand } from "./run.ts";
import { showCommand } from "./show.ts";
import { interruptCommand, removeCommand, sendCommand, stopCommand } from "./steer.ts";
import { watchCommand } from "./watch.ts";
import { VERSION } from "../version.ts";

function ioOf(options: { stdout?: Plain | Screen; stderr?: Plain | Screen; signal?: AbortSignal } = {}): CommandIo {
  const { stdout = new Plain(), stderr = new Plain(), signal = new AbortController().signal } = options;
  return { stdin: process.stdin, stdout, stderr, signal, env: {} };
}

const start = async (sessions: MemorySessions, task = "x") =>
  (await sessions.create({ spec: create(SessionSpecSchema, { task }), container: create(ContainerSpecSchema) })).id;

test("an id may be shortened to its start or end, in any case, as long as only one session is meant", async () => {
  using sessions = new MemorySessions();
  const [first, second] = [await start(sessions), await start(sessions)];
  expect(await resolveSession(sessions, first)).toBe(first);
  expect(await resolveSession(sessions, first.slice(-8).toLowerCase())).toBe(first);
  expect(await resolveSession(sessions, `…${second.slice(-6)}`)).toBe(second);
  await expect(resolveSession(sessions, first.slice(0, 9))).rejects.toMatchObject({ reason: "SESSION_AMBIGUOUS" });
  for (const given of ["zzzz", "ses_", first.slice(-3), ""]) {
    await expect(resolveSession(sessions, given)).rejects.toMatchObject({ reason: "SESSION_NOT_FOUND" });
  }
});

test("progress is plain lines where there is no terminal, and redrawn status lines where there is one", async () => {
  using sessions = new MemorySessions();
  const ids = [await start(sessions), await start(sessions)];
  const [plain, screen] = [new Plain(), new Screen()];
  const signal = AbortSignal.timeout(20_000);
  const following = [plain, screen].map((stderr) => followSessions(sessions, ids, { signal }, ioOf({ stderr })));
  sessions.say(ids[0]!, saying("hello from \x1b]0;one\x07"));
  sessions.say(ids[1]!, saying("hello from two"));
  sessions.finish(ids[0]!);
  await sessions.stop(ids[1]!, { reason: "enough" });
  expect(await Promise.all(following)).toEqual([
    [Session_State.SUCCEEDED, Session_State.CANCELED],
    [Session_State.SUCCEEDED, Session_State.CANCELED],
  ]);
  expect(plain.text).toContain(`…${ids[0]!.slice(-6)}     0.0s  Claude: hello from ]0;one\n`);
  expect(plain.text).toContain("Claude: hello from two\n");
  expect(plain.text).toMatch(/ succeeded\n/);
  expect(plain.text).toMatch(/ canceled: enough\n/);
  expect(screen.lines).toEqual([
    expect.stringMatching(/^✔ .*succeeded/),
    expect.stringMatching(/^■ .*canceled .*enough$/),
    "",
  ]);
});

test("progress of the clone is one line a stage where there is no terminal, and all of it where there is one", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  const [plain, screen] = [new Plain(), new Screen()];
  const signal = AbortSignal.timeout(20_000);
  const following = [plain, screen].map((stderr) => followSessions(sessions, [id], { signal }, ioOf({ stderr })));
  for (const [stage, percent] of [
    ["receiving", 1],
    ["receiving", 50],
    ["receiving", 100],
    ["checking out", 3],
    ["checking out", 100],
  ] as const) {
    sessions.say(id, { case: "cloneProgress", value: create(CloneProgressSchema, { stage, percent }) });
  }
  sessions.finish(id);
  await Promise.all(following);
  expect(plain.text.match(/clone: .*/g)).toEqual(["clone: receiving", "clone: checking out"]);
  expect(screen.lines.filter((line) => line.includes("clone: "))).toHaveLength(5);
});

test("a single session on a terminal has its progress above its status line", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  const screen = new Screen();
  const following = followSessions(sessions, [id], { signal: AbortSignal.timeout(20_000) }, ioOf({ stderr: screen }));
  sessions.say(id, saying("first"), saying("second"));
  sessions.finish(id);
  await following;
  expect(screen.lines).toEqual([
    expect.stringContaining("Claude: first"),
    expect.stringContaining("Claude: second"),
    expect.stringMatching(/^✔/),
    "",
  ]);
});

test("what a container says goes on below itself on a terminal, and not where the host's lines begin", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  const screen = new Screen();
  const following = followSessions(sessions, [id], { signal: AbortSignal.timeout(20_000) }, ioOf({ stderr: screen }));
  sessions.say(id, saying(`${"a".repeat(63)}   0.0s  succeeded`));
  sessions.finish(id);
  await following;
  expect(screen.lines[0]).toContain(`Claude: ${"a".repeat(63)}`);
  expect(screen.lines[1]).toMatch(/^ {9} ?0\.0s succeeded/);
});

test("events as JSON hold nothing that a terminal would obey, and lose nothing", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  sessions.say(id, saying("a\x9b2J\u202eb\u2028"));
  sessions.finish(id);
  const stdout = new Plain();
  await watchCommand(sessions, [id], { json: true }, ioOf({ stdout }));
  expect(stdout.text).not.toMatch(/[\x7f-\x9f\u202e\u2028]/);
  expect(stdout.text.split("\n").map((line) => (line === "" ? {} : (JSON.parse(line) as object)))).toContainEqual(
    expect.objectContaining({ assistantText: expect.objectContaining({ text: "a\x9b2J\u202eb\u2028" }) as object }),
  );
});

test("watch ends with what became of the sessions, and with 130 when it is left", async () => {
  using sessions = new MemorySessions();
  expect(await watchCommand(sessions, [], { json: false }, ioOf())).toBe(0);
  const ids = [await start(sessions), await start(sessions)];
  const left = new AbortController();
  const stderr = new Plain();
  const leaving = watchCommand(sessions, [], { json: false }, ioOf({ stderr, signal: left.signal }));
  left.abort(new Error("SIGINT"));
  expect(await leaving).toBe(130);
  expect(stderr.text).toContain(`2 sessions go on: claudecluster watch ${ids.join(" ")}\n`);
  expect((await sessions.get(ids[0]!)).state).toBe(Session_State.QUEUED);
  sessions.finish(ids[0]!);
  sessions.fail(ids[1]!, "NO_LUCK");
  const stdout = new Plain();
  expect(await watchCommand(sessions, ids, { json: true }, ioOf({ stdout }))).toBe(1);
  const events = stdout.text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { sessionId: string; sequence: number });
  expect(events.filter(({ sessionId }) => sessionId === ids[1])).toMatchObject([{ sequence: 1 }, { sequence: 2 }]);
});

test("watch without sessions also sees those that start later, and ends once none is live", async () => {
  using sessions = new MemorySessions();
  const first = await start(sessions, "one");
  const [plain, screen, json] = [new Plain(), new Screen(), new Plain()];
  const watching = [
    watchCommand(sessions, [], { json: false }, ioOf({ stderr: plain })),
    watchCommand(sessions, [], { json: false }, ioOf({ stderr: screen })),
    watchCommand(sessions, [], { json: true }, ioOf({ stdout: json })),
  ];
  const shown = () => screen.lines.filter((line) => line.includes("…"));
  await expect.poll(() => shown()).toHaveLength(1);
  const second = await start(sessions, "two");
  await expect.poll(() => shown()).toHaveLength(2);
  await expect.poll(() => json.text).toContain(`"sessionId":"${second}"`);
  sessions.finish(first);
  await expect.poll(() => shown()[0]).toMatch(/^✔ .*succeeded/);
  sessions.say(second, saying("still here"));
  await expect.poll(() => plain.text).toContain("Claude: still here");
  sessions.fail(second, "NO_LUCK");
  expect(await Promise.all(watching)).toEqual([1, 1, 1]);
  for (const id of [first, second]) expect(plain.text).toContain(`…${id.slice(-6)}  `);
  expect(screen.lines).toEqual([expect.stringMatching(/^✔/), expect.stringMatching(/^✘ .*NO_LUCK$/), ""]);
  expect(sessions).toMatchObject({ watcherCount: 0, feedReaderCount: 0 });
});

test("the status line of a live session says what it has cost so far", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  const before = create(MeteredUsageSchema, { requestCount: 1, costUsd: 0.25 });
  sessions.use(id, before);
  for (const ids of [[], [id]]) {
    const screen = new Screen();
    const left = new AbortController();
    const watching = watchCommand(sessions, ids, { json: false }, ioOf({ stderr: screen, signal: left.signal }));
    const costUsd = (await sessions.get(id)).live!.meteredUsage!.costUsd;
    await expect.poll(() => screen.lines.join("\n")).toContain(`$${costUsd.toFixed(2)}`);
    sessions.use(id, create(MeteredUsageSchema, { requestCount: 1, costUsd: 0.5 }));
    await expect.poll(() => screen.lines.join("\n")).toContain(`$${(costUsd + 0.5).toFixed(2)}`);
    left.abort(new Error("SIGINT"));
    await watching;
  }
});

test("run ends its session on Ctrl-C, and leaves it when its terminal goes away", async () => {
  using sessions = new MemorySessions();
  const run = async (signalName: string) => {
    const stderr = new Plain();
    const abort = new AbortController();
    const running = runCommand(
      sessions,
      { spec: create(SessionSpecSchema, { task: "x" }), container: create(ContainerSpecSchema) },
      { detach: false, json: true },
      ioOf({ stderr, signal: abort.signal }),
    );
    await expect.poll(() => stderr.text).toContain("session ses_");
    abort.abort(new Error(signalName));
    const code = await running;
    const { id, state } = (await sessions.list({ pageSize: 1 })).sessions[0]!;
    return { code, id, state, text: stderr.text };
  };
  expect(await run("SIGINT")).toMatchObject({ code: 130, state: Session_State.CANCELED });
  const left = await run("SIGHUP");
  expect(left).toMatchObject({ code: 130, state: Session_State.QUEUED });
  expect(left.text).toContain(`claudecluster watch ${left.id}`);
});

test("remove --force that is left does not remove what has not ended", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  // Collecting its changes takes longer than anybody waits.
  sessions.stop = () => Promise.resolve();
  const left = new AbortController();
  const removing = removeCommand(sessions, [id], { force: true, discard: false }, ioOf({ signal: left.signal }));
  await expect.poll(() => sessions.watcherCount).toBe(1);
  left.abort(new Error("SIGINT"));
  expect(await removing).toBe(130);
  expect((await sessions.get(id)).id).toBe(id);
});

test("shows what a session cost as the host counted it, and nothing until then", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  const usage = create(UsageSchema, { inputTokenCount: 7n, costUsd: 3 });
  sessions.say(id, { case: "usageUpdated", value: create(UsageUpdatedSchema, { usage }) });
  const shown = async () => {
    const stdout = new Plain();
    await showCommand(sessions, id, { json: false }, ioOf({ stdout }));
    await showCommand(sessions, id, { json: true }, ioOf({ stdout }));
    await listCommand(sessions, { limit: 1, json: true }, ioOf({ stdout }));
    return stdout.text;
  };
  const before = await shown();
  expect(before).toContain("7 tokens in");
  expect(before).not.toMatch(/\$3|cost_usd/);
  const result = create(SessionResultSchema, { usage, meteredUsage: { costUsd: 0.00003 } });
  const value = create(SessionFinishedSchema, { state: Session_State.SUCCEEDED, result });
  sessions.say(id, { case: "sessionFinished", value });
  const after = await shown();
  expect(after).toContain("$0.000030");
  expect(after.match(/"cost_usd": [\d.e-]+/g)).toEqual(Array.from({ length: 3 }, () => '"cost_usd": 0.00003'));
});

test("looking at a live session, watching it and deciding costs the same however much has happened in it", async () => {
  using sessions = new MemorySessions();
  const readBy = async (eventCount: number): Promise<number[]> => {
    const id = await start(sessions);
    const change = { path: "a", kind: FileChange_Kind.ADDED, addedLineCount: 3 };
    const changes = create(ChangesUpdatedSchema, { changes: [change], changeCount: 1 });
    const asked = create(PermissionRequestedSchema, { requestId: "r1", toolName: "Bash" });
    const answer = create(TurnFinishedSchema, { turn: 1, text: "Half way." });
    sessions.say(
      id,
      { case: "changesUpdated", value: changes },
      { case: "turnFinished", value: answer },
      { case: "permissionRequested", value: asked },
      { case: "stateChanged", value: create(StateChangedSchema, { state: Session_State.WAITING }) },
      ...Array.from({ length: eventCount }, (_, index) => saying(`line ${index}`)),
    );
    const counts: number[] = [];
    const count = async (work: () => Promise<unknown>) => {
      const before = sessions.readCount;
      await work();
      counts.push(sessions.readCount - before);
    };
    const [shown, diffed, watched] = [new Plain(), new Plain(), new Plain()];
    await count(() => showCommand(sessions, id, { json: true }, ioOf({ stdout: shown })));
    await count(() => diffCommand(sessions, id, { json: true, force: false }, ioOf({ stdout: diffed })));
    const left = new AbortController();
    await count(async () => {
      const watching = watchCommand(sessions, [id], { json: false }, ioOf({ stderr: watched, signal: left.signal }));
      await expect.poll(() => watched.text).toContain("asks for permission: Bash");
      left.abort();
      await watching;
    });
    await count(() => decideCommand(sessions, id, { allow: true }));
    await count(() => awaitDecided(sessions, id, { requestId: "r1", signal: AbortSignal.timeout(50) }));
    await expect(sessions.decide(id, { requestId: "r1", allow: true })).rejects.toMatchObject({
      reason: "DECISION_MADE",
    });
    expect(JSON.parse(shown.text)).toMatchObject({
      change_count: 1,
      result: "Half way.",
      waiting_for: [{ request_id: "r1", tool: "Bash" }],
    });
    expect((JSON.parse(shown.text) as { recent_progress: string[] }).recent_progress.at(-1)).toContain("Claude: line");
    expect(JSON.parse(diffed.text)).toMatchObject({ changes: [{ path: "a", added_lines: 3 }], change_count: 1 });
    return counts;
  };
  const ofMany = await readBy(20_000);
  expect(ofMany).toEqual(await readBy(1000));
  expect(Math.max(...ofMany)).toBeLessThan(500);
});

test("what is not known of a live session yet is not said to be none", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  sessions.say(id, { case: "phaseChanged", value: create(PhaseChangedSchema, { phase: Phase.WORK }) });
  const shown = async (run: (io: CommandIo) => Promise<number>) => {
    const stdout = new Plain();
    await run(ioOf({ stdout }));
    return stdout.text;
  };
  const list = (json: boolean) => shown((io) => listCommand(sessions, { limit: 1, json }, io));
  const show = () => shown((io) => showCommand(sessions, id, { json: false }, io));
  expect(await list(false)).toMatch(/ {2}- {2}x$/m);
  expect(await list(true)).not.toContain("change_count");
  expect(await show()).toMatch(/^timeline +work [1-9]/m);
  expect(await show()).not.toContain("tokens");
  sessions.finish(id);
  expect(await list(false)).toMatch(/ {2}0 {2}x$/m);
  expect(await show()).toContain("0 tokens in, 0 out");
});

test.each([["set", "SECRET"], ["set", "--key=SECRET"], ["set", "--kind", "SECRET"], ["SECRET"]])(
  "credential %j %j does not repeat what may be a secret, and says where it goes",
  async (...args) => {
    const [stdout, stderr] = [new Plain(), new Plain()];
    expect(await main(["credential", ...args], ioOf({ stdout, stderr }))).toBe(2);
    expect(stderr.text).toContain("on standard input");
    expect(stdout.text + stderr.text).not.toContain("SECRET");
  },
);

test("sessions of which one does not exist are all left alone, and that is said", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  for (const given of ["nosuch", id.slice(0, -4) + "ZZZZ"]) {
    await expect(resolveEach(sessions, [id, given])).rejects.toMatchObject({
      reason: "SESSION_NOT_FOUND",
      message: expect.stringContaining("Nothing was done to the others.") as string,
    });
  }
  expect(await resolveEach(sessions, [id, id.slice(-8)])).toEqual([id]);
});

test("send, interrupt and stop say what they did", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  const stdout = new Plain();
  const io = ioOf({ stdout });
  await sendCommand(sessions, id, "more", io);
  sessions.say(id, { case: "stateChanged", value: create(StateChangedSchema, { state: Session_State.RUNNING }) });
  await interruptCommand(sessions, id, io);
  sessions.say(id, { case: "stateChanged", value: create(StateChangedSchema, { state: Session_State.IDLE }) });
  await expect(interruptCommand(sessions, id, io)).rejects.toMatchObject({ reason: "TURN_NOT_RUNNING" });
  await stopCommand(sessions, [id], { reason: "x", wait: true }, io);
  await stopCommand(sessions, [id], { reason: "x", wait: true }, io);
  expect(stdout.text.trim().split("\n")).toEqual([
    `Sent to ${id}.`,
    `Interrupted ${id}.`,
    `Stopped ${id}.`,
    `${id} was over already: canceled.`,
  ]);
});

test("what a session waits for that no event says is in list, show, progress and stop, and so is that it goes on", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  const reason = "no room in /full; free some there, and it goes on by itself";
  sessions.wait(id, reason);
  const list = new Plain();
  await listCommand(sessions, { limit: 10, json: false }, ioOf({ stdout: list }));
  expect(list.text).toContain(`…${id.slice(-6)} is waiting: ${reason}\n`);
  const show = new Plain();
  await showCommand(sessions, id, { json: false }, ioOf({ stdout: show }));
  expect(show.text).toContain(`waiting      ${reason}\n`);

  const [plain, screen, stopped] = [new Plain(), new Screen(), new Plain()];
  const signal = AbortSignal.timeout(20_000);
  const following = [plain, screen].map((stderr) => followSessions(sessions, [id], { signal }, ioOf({ stderr })));
  // Asked for, and not stored.
  sessions.stop = () => Promise.resolve();
  const stopping = stopCommand(sessions, [id], { reason: "x", wait: true }, ioOf({ stderr: stopped, signal }));
  const said = (text: string) => vi.waitFor(() => expect(plain.text + stopped.text).toContain(text), 10_000);
  await said(`waiting: ${reason}\n`);
  await said(`${id}: waiting: ${reason}\n`);
  await vi.waitFor(() => expect(screen.lines.at(-2)).toContain(`waiting: ${reason}`.slice(0, 30)), 10_000);
  sessions.wait(id, "");
  await said(`${id}: it goes on\n`);
  await vi.waitFor(() => expect(plain.text).toMatch(/s  it goes on\n/), 10_000);
  sessions.finish(id);
  await Promise.all([...following, stopping]);
});

test("watch says what a session waited for before and what to answer with, and how a finished one ended", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  const questions = [{ question: "Which?", options: [{ label: "Hello" }, { label: "Bonjour" }] }];
  const value = create(QuestionAskedSchema, { requestId: "1", questions });
  sessions.say(id, saying("long ago"), { case: "questionAsked", value });
  const stderr = new Plain();
  const watching = watchCommand(sessions, [id], { json: false }, ioOf({ stderr }));
  await expect
    .poll(() => stderr.text)
    .toMatch(/asks: Which\? \(Hello \| Bonjour\)\n.*to answer: claudecluster answer ses_/);
  sessions.fail(id, "NO_LUCK");
  await watching;
  expect(stderr.text).not.toContain("long ago");
  const later = new Plain();
  expect(await watchCommand(sessions, [id], { json: false }, ioOf({ stderr: later }))).toBe(1);
  expect(later.text).toMatch(/failed: NO_LUCK\n.*have the result/);
  expect(later.text).not.toContain("asks");
  const stdout = new Plain();
  await listCommand(sessions, { limit: 1, json: false }, ioOf({ stdout }));
  expect(stdout.text).toMatch(/ENDED BY {2}TASK\n.* NO_LUCK {3}x\n$/);
});

test.each([
  [["--timeout", "abc"], "--timeout <seconds>' argument 'abc' is invalid. It must be a number."],
  [["--timeout", "Infinity"], "--timeout <seconds>' argument 'Infinity' is invalid. It must be a number."],
  [
    ["--max-steps", "0"],
    "--max-steps <count>' argument '0' is invalid. It must be a whole number from 1 to 2147483647.",
  ],
  [["--max-requests", "2147483648"], "--max-requests <count>' argument '2147483648' is invalid."],
  [["--max-tokens", "1.5"], "--max-tokens <count>' argument '1.5' is invalid."],
  [["--max-cost", "0"], "--max-cost <usd>' argument '0' is invalid. It must be above 0."],
  [["--egress", "all"], "--egress <mode>' argument 'all' is invalid. Allowed choices are none, listed, open."],
  [["--permission-mode", "yolo"], "--permission-mode <mode>' argument 'yolo' is invalid. Allowed choices are "],
])("run %j is refused by the option's name", async (flags, text) => {
  const stderr = new Plain();
  expect(await main(["run", "x", ...flags], ioOf({ stderr }))).toBe(2);
  expect(stderr.text).toContain(text);
});

test("a credential that replaces another and one that is not there to remove are said to be so", async () => {
  await using place = await makeHostDirectories();
  const stdout = new Plain();
  const set = () => {
    const stdin = Readable.from(["sk-ant-x"]) as NodeJS.ReadStream;
    return setCredentialCommand(place.directories, {}, { ...ioOf({ stdout }), stdin });
  };
  await set();
  expect(stdout.text).not.toContain("in place of");
  await set();
  expect(stdout.text).toContain(", in place of the one before.\n");
  removeCredentialCommand(place.directories, ioOf({ stdout }));
  removeCredentialCommand(place.directories, ioOf({ stdout }));
  expect(stdout.text).toMatch(/Removed the credential from .*\nNo credential is stored in .*\n$/);
});

test("a result without changes begins with its outcome", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  sessions.fail(id, "NO_LUCK");
  const stderr = new Plain();
  const { summary } = await readSummary(sessions, id);
  await printResult(summary, Readable.from([]), ioOf({ stderr }));
  expect(stderr.text).toMatch(/^failed: 0 files changed/);
});

test("list shows the newest first, cut to the terminal, and as JSON", async () => {
  using sessions = new MemorySessions();
  for (let index = 0; index < 3; index++) await start(sessions, `task ${index} ${"long ".repeat(30)}`);
  const screen = new Screen();
  await listCommand(sessions, { limit: 2, json: false }, ioOf({ stdout: screen }));
  const shown = screen.lines.map((line) => line.replace(/\x1b\[\d+m/g, ""));
  expect(shown).toHaveLength(4);
  expect(shown[1]).toContain("task 2");
  expect(Math.max(...shown.map(({ length }) => length))).toBeLessThanOrEqual(80);
  const stdout = new Plain();
  await listCommand(sessions, { limit: 10, json: true, only: "live" }, ioOf({ stdout }));
  expect(JSON.parse(stdout.text)).toMatchObject([{ state: "queued" }, {}, {}]);
});

test("list keeps room for the task: a long ending is cut, or left out where the terminal is narrow", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions, "add tests to the parser");
  sessions.fail(id, "A_REASON_THAT_IS_RATHER_LONG");
  const shown = async (columns: number) => {
    const screen = Object.assign(new Screen(), { columns });
    await listCommand(sessions, { limit: 1, json: false }, ioOf({ stdout: screen }));
    return screen.lines.map((line) => line.replace(/\x1b\[\d+m/g, ""));
  };
  expect(await shown(80)).toEqual([
    expect.stringMatching(/FILES {2}TASK$/),
    expect.stringMatching(/ {2}add tests to the pars$/),
    "",
  ]);
  expect(await shown(100)).toEqual([
    expect.stringMatching(/FILES {2}ENDED BY +TASK$/),
    expect.stringMatching(/ {2}A_REASON_THAT_IS_R… +add tests to the/),
    "",
  ]);
  expect((await shown(130))[1]).toMatch(/ {2}A_REASON_THAT_IS_RATHER_LONG {2}add tests to the parser$/);
  expect(Math.max(...(await shown(50)).map(({ length }) => length))).toBe(50);
});

test("a variable that is misspelt is warned about once, and nothing ends for it", async () => {
  const [stdout, stderr] = [new Plain(), new Plain()];
  const env = { CLAUDECLUSTER_DAILY_BUDGET: "5", CLAUDECLUSTER_EGRESS: "none" };
  expect(await main(["version"], { ...ioOf({ stdout, stderr }), env })).toBe(0);
  expect(stdout.text).toBe(`${VERSION}\n`);
  expect(stderr.text).toBe(
    "warning: There is no setting CLAUDECLUSTER_DAILY_BUDGET. Did you mean CLAUDECLUSTER_DAILY_BUDGET_USD?\n",
  );
});

test.each([
  [["lst"], /unknown command 'lst'\n\(Did you mean one of list, ls\?\)\nSee claudecluster --help\.\n$/],
  [["spawn"], /unknown command 'spawn'\nSee claudecluster --help\.\n$/],
  [
    ["run", "x", "--repositry", "y"],
    /unknown option '--repositry'\n\(Did you mean --repository\?\)\nSee claudecluster run --help\.\n$/,
  ],
  [["show"], /missing required argument 'session'\nSee claudecluster show --help\.\n$/],
  [["image", "--foo"], /unknown option '--foo'\nSee claudecluster image --help\.\n$/],
])("%j is answered with what is nearest, or with where all are", async (args, text) => {
  const stderr = new Plain();
  expect(await main(args, ioOf({ stderr }))).toBe(2);
  expect(stderr.text).toMatch(text);
});
