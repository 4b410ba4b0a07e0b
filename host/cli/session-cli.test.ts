import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { saying } from "../../test/contract/sessions-contract.ts";
import { Plain, Screen } from "../../test/support/screen.ts";
import {
  ContainerSpecSchema,
  Phase,
  PhaseChangedSchema,
  SessionFinishedSchema,
  SessionResultSchema,
  SessionSpecSchema,
  Session_State,
  UsageSchema,
  UsageUpdatedSchema,
} from "../../proto/index.ts";
import type { CommandIo } from "./command-io.ts";
import { followSessions } from "./follow.ts";
import { listCommand } from "./list.ts";
import { main } from "./program.ts";
import { resolveSession } from "./resolve-session.ts";
import { runCommand } from "./run.ts";
import { showCommand } from "./show.ts";
import { removeCommand } from "./steer.ts";
import { watchCommand } from "./watch.ts";

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

test("watch ends with what became of the sessions, and with 130 when it is left", async () => {
  using sessions = new MemorySessions();
  expect(await watchCommand(sessions, [], { json: false }, ioOf())).toBe(0);
  const ids = [await start(sessions), await start(sessions)];
  const left = new AbortController();
  const leaving = watchCommand(sessions, [], { json: false }, ioOf({ signal: left.signal }));
  left.abort(new Error("SIGINT"));
  expect(await leaving).toBe(130);
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

test("run ends its session on Ctrl-C, and leaves it when its terminal goes away", async () => {
  using sessions = new MemorySessions();
  const run = async (signalName: string) => {
    const stderr = new Plain();
    const abort = new AbortController();
    const running = runCommand(
      sessions,
      { task: "x" },
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
  const removing = removeCommand(sessions, [id], { force: true }, ioOf({ signal: left.signal }));
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
  const result = create(SessionResultSchema, { usage, meteredUsage: { costUsd: 0.25 } });
  const value = create(SessionFinishedSchema, { state: Session_State.SUCCEEDED, result });
  sessions.say(id, { case: "sessionFinished", value });
  const after = await shown();
  expect(after).toContain("$0.2500");
  expect(after.match(/"cost_usd": [\d.]+/g)).toEqual(Array.from({ length: 3 }, () => '"cost_usd": 0.25'));
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
