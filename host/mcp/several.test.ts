import { create } from "@bufbuild/protobuf";
import { expect, onTestFinished, test, vi } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { connectInProcess } from "../../test/support/mcp-in-process.ts";
import {
  AppError,
  FileChangeSchema,
  PermissionRequestedSchema,
  Phase,
  PhaseChangedSchema,
  Session_State,
  StateChangedSchema,
} from "../../proto/index.ts";

interface Answer {
  text: string;
  isError: boolean;
}

async function start() {
  const sessions = new MemorySessions();
  const client = await connectInProcess({ sessions });
  onTestFinished(async () => {
    await client[Symbol.asyncDispose]();
    sessions[Symbol.dispose]();
  });
  const progress: string[] = [];
  const call = async (name: string, args: object): Promise<Answer> => {
    const result = await client.callTool(
      { name, arguments: { ...args } },
      { onprogress: ({ message = "" }) => void progress.push(message) },
    );
    const content = result.content as { text: string }[];
    return { text: content[0]!.text, isError: result.isError === true };
  };
  const ids = async () => (await sessions.list({})).sessions.map(({ id }) => id).toReversed();
  /** Waits until so many are there. */
  const made = (count: number) =>
    vi.waitFor(async () => {
      const all = await ids();
      expect(all).toHaveLength(count);
      return all;
    }, 20_000);
  const spawned = async (...tasks: string[]) => {
    await call("spawn_claude_container", { tasks, wait: false });
    return await ids();
  };
  return { sessions, call, ids, made, spawned, progress };
}

function waits(sessions: MemorySessions, id: string) {
  const request = create(PermissionRequestedSchema, { requestId: "r1", toolName: "Bash" });
  sessions.say(id, { case: "permissionRequested", value: request });
  const state = create(StateChangedSchema, { state: Session_State.WAITING });
  sessions.say(id, { case: "stateChanged", value: state });
}

test("one call starts a session for each task, follows all in one line, and says of each how it ended", async () => {
  const { sessions, call, made, progress } = await start();
  const answering = call("spawn_claude_container", { tasks: ["Fix a", "Fix b", "Fix c"], max_steps: 7 });
  const [a, b, c] = (await made(3)) as [string, string, string];
  await vi.waitFor(() => expect(sessions.watcherCount).toBe(3), 20_000);
  sessions.say(b, { case: "phaseChanged", value: create(PhaseChangedSchema, { phase: Phase.CLAUDE }) });
  await vi.waitFor(() => expect(progress.at(-1)).toContain("Claude"), 20_000);
  sessions.finish(a, Buffer.from("diff\n"), [create(FileChangeSchema, { path: "a.ts", addedLineCount: 2 })]);
  sessions.fail(b, "MODEL_REFUSED");
  sessions.finish(c);
  const { text, isError } = await answering;
  expect(isError).toBe(false);
  expect(text).toMatch(/^3 sessions: 2 succeeded, 1 failed\n/);
  for (const id of [a, b, c]) expect(text).toContain(`Session ${id} `);
  expect(text).toContain("  unspecified a.ts +2 -0");
  expect(text).toContain("get_session shows one with its patch");
  expect(progress.find((line) => line.includes("Claude"))).toMatch(
    /^0 of 3 done · ….{6}: asked for · ….{6}: .*Claude.* · ….{6}: asked for$/,
  );
  expect(progress.at(-1)).toMatch(/^[12] of 3 done/);
  for (const { spec } of (await sessions.list({})).sessions) expect(spec?.maxStepCount).toBe(7);
});

test("a task of which no session can be made is named, and the others start", async () => {
  const { sessions, call } = await start();
  const make = sessions.create.bind(sessions);
  sessions.create = (request) =>
    request.spec.task === "second" ? Promise.reject(new AppError("QUEUE_FULL", "No place.")) : make(request);
  const { text, isError } = await call("spawn_claude_container", { tasks: ["first", "second"], wait: false });
  expect(text).toMatch(/^2 sessions: 1 queued, 1 not started\n/);
  expect(text).toMatch(/not started: QUEUE_FULL: No place\..*\n {2}task: second/);
  expect(text).toMatch(/wait_session \{"session_ids":\["ses_\w+"\]\} waits for what still runs/);
  expect(isError).toBe(false);
  expect((await call("spawn_claude_container", { tasks: ["second"] })).isError).toBe(true);
});

test("waits for any of several, and then for the rest", async () => {
  const { sessions, call, spawned } = await start();
  const [a, b] = (await spawned("a", "b")) as [string, string];
  const any = call("wait_session", { session_ids: [a, b.slice(-8)], until: "any" });
  await vi.waitFor(() => expect(sessions.watcherCount).toBe(2), 20_000);
  sessions.finish(b);
  const { text } = await any;
  expect(text).toMatch(/^2 sessions: 1 queued, 1 succeeded\n/);
  expect(text).toContain(`wait_session {"session_ids":["${a}"]} waits for what still runs.`);
  expect(sessions.watcherCount).toBe(0);
  const all = call("wait_session", { session_ids: [a, b] });
  await vi.waitFor(() => expect(sessions.watcherCount).toBe(1), 20_000);
  sessions.finish(a);
  expect((await all).text).toMatch(/^2 sessions: 2 succeeded\n/);
});

test("a decision that one of several waits for ends the wait for all, before its time is over", async () => {
  const { sessions, call, spawned } = await start();
  const [a, b] = (await spawned("a", "b")) as [string, string];
  const all = call("wait_session", { session_ids: [a, b] });
  await vi.waitFor(() => expect(sessions.watcherCount).toBe(2), 20_000);
  waits(sessions, a);
  const { text } = await all;
  expect(text).toContain('decide_permission with request_id "r1"');
  expect(text).toContain(`wait_session {"session_ids":["${b}"]}`);
});

test("a long answer of one of several is cut, and the call that has all of it is named", async () => {
  const { sessions, call, spawned } = await start();
  const ids = await spawned(..."abcdefghij");
  const text = "x".repeat(10_000);
  for (const id of ids) {
    sessions.say(id, { case: "stateChanged", value: create(StateChangedSchema, { state: Session_State.IDLE }) });
  }
  sessions.get = (
    (get) => async (id: string) =>
      Object.assign(await get(id), { live: { answer: { text, firstSequence: 0 }, changes: [] } })
  )(sessions.get.bind(sessions)) as typeof sessions.get;
  const { text: said } = await call("wait_session", { session_ids: ids });
  expect(said.length).toBeLessThan(30_000);
  for (const id of ids) expect(said).toContain(`[get_session ${id}: all of it]`);
});

test("a patch that is too long for an answer is read file by file and page by page, nothing of it left out", async () => {
  const { sessions, call, spawned } = await start();
  const [id] = (await spawned("a")) as [string];
  const lines = Array.from({ length: 6000 }, (_, at) => `+line ${at} ${"漢".repeat(5)}\n`);
  const header = (name: string) =>
    `diff --git a/${name} b/${name}\nnew file mode 100644\n--- /dev/null\n+++ b/${name}\n`;
  const patch = `${header("big.txt")}@@ -0,0 +1,6000 @@\n${lines.join("")}${header("b.txt")}@@ -0,0 +1 @@\n+b\n`;
  sessions.finish(id, Buffer.from(patch), [create(FileChangeSchema, { path: "big.txt" })]);
  expect((await call("get_session", { session_id: id })).text).toContain(`read_changes {"session_id":"${id}"}`);
  const list = await call("read_changes", { session_id: id.slice(-6) });
  expect(list.text).toMatch(
    /^Session ses_\w+ has changed 2 files\n[^]*\nadded big\.txt \+6000 -0\nadded b\.txt \+1 -0\n/,
  );
  const read: string[] = [];
  let next: { page?: number } | undefined = {};
  while (next !== undefined) {
    const { text } = await call("read_changes", { session_id: id, path: "big.txt", ...next });
    expect(text.length).toBeLessThan(48_000);
    read.push(...(text.match(/^\+line.*\n/gm) ?? []));
    const call_: string | undefined = /next page: read_changes (\{.*\})$/.exec(text)?.[1];
    next = call_ === undefined ? undefined : (JSON.parse(call_) as { page: number });
  }
  expect(read).toEqual(lines);
  expect((await call("read_changes", { session_id: id, path: "big.tx" })).text).toMatch(/Did you mean "big\.txt"\?/);
  expect((await call("read_changes", { session_id: id, page: 2 })).text).toMatch(/Give page from 1 to 1\.$/);
});
