import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import { expect, onTestFinished, test } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { taskClient } from "../../test/support/task-client.ts";
import {
  PermissionRequestedSchema,
  Session_State as State,
  StateChangedSchema,
  ToolUseStartedSchema,
} from "../../proto/index.ts";
import { MCPServer } from "./mcp-server.ts";
import { DATA } from "./tool-result.ts";

const FORMS = { elicitation: { form: {} } };
const spawn = { name: "spawn_claude_container", arguments: { task: "x", repository: "none" } };

function start(capabilities: object = FORMS) {
  const sessions = new MemorySessions();
  onTestFinished(() => sessions[Symbol.dispose]());
  // As a server that knows nothing of what others have answered.
  const client = () => {
    const server = new MCPServer({ sessions, version: "1", logger: pino({ level: "silent" }) });
    const handler = server.httpHandler();
    onTestFinished(() => handler.close());
    return taskClient((request) => handler.fetch(request), capabilities);
  };
  const newest = async () => (await sessions.list({})).sessions[0]!.id;
  return { sessions, client, newest };
}

function state(sessions: MemorySessions, id: string, to: State): void {
  sessions.say(id, { case: "stateChanged", value: create(StateChangedSchema, { state: to }) });
}

function ask(sessions: MemorySessions, id: string, requestId: string): void {
  const value = create(PermissionRequestedSchema, { requestId, toolName: "Bash", inputJson: '{"command":"ls"}' });
  sessions.say(id, { case: "permissionRequested", value });
  state(sessions, id, State.WAITING);
}

test("a spawn is a task that says what its session does, and any server has its result", async () => {
  const { sessions, client, newest } = start();
  const first = client();
  const task = await first.call(spawn);
  expect(task).toMatchObject({ resultType: "task", status: "working", ttlMs: null });
  expect(await first.get(task)).toMatchObject({ resultType: "complete", status: "working", taskId: task["taskId"] });
  const id = await newest();
  state(sessions, id, State.RUNNING);
  sessions.say(id, {
    case: "toolUseStarted",
    value: create(ToolUseStartedSchema, { toolUseId: "t", name: "Bash" }),
  });
  await expect.poll(async () => (await first.get(task))["statusMessage"]).toMatch(/^….{6}: tool: Bash/);
  sessions.finish(id);
  expect(await client().get(task)).toMatchObject({
    status: "completed",
    result: { content: [{ type: "text" }], _meta: { [DATA]: { session_id: id, state: "succeeded" } } },
  });
});

test("what a task asks for is answered by its form, whose refusal is a no and not its end", async () => {
  const { sessions, client, newest } = start();
  const task = await client().call(spawn);
  const id = await newest();
  for (const [requestId, response] of [
    ["r1", { action: "accept", content: { decision: "Allow once" } }],
    ["r2", { action: "decline" }],
  ] as const) {
    ask(sessions, id, requestId);
    const asked = await client().get(task);
    expect(asked).toMatchObject({ status: "input_required" });
    const [[key, form]] = Object.entries(asked["inputRequests"] as object) as [[string, object]];
    expect(form).toMatchObject({ method: "elicitation/create", params: { mode: "form" } });
    // Also what nobody asks for is taken.
    const answer = { [key]: response, "ses_1.nothing": { action: "accept", content: {} } };
    const updating = client().update(task, answer);
    await expect.poll(async () => (await sessions.get(id)).decidedRequestIds).toContain(requestId);
    state(sessions, id, State.RUNNING);
    expect(await updating).toMatchObject({ resultType: "complete" });
    expect(await client().get(task)).toMatchObject({ status: "working" });
  }
  const { decidedRequestIds, state: now } = await sessions.get(id);
  expect([decidedRequestIds, now]).toEqual([["r1", "r2"], State.RUNNING]);
});

test("canceling the task of a spawn ends its session, and that of a wait leaves it", async () => {
  const { sessions, client, newest } = start();
  const task = await client().call(spawn);
  const id = await newest();
  const waiting = await client().call({ name: "wait_session", arguments: { session_id: id } });
  expect(waiting).toMatchObject({ resultType: "task" });
  expect(await client().cancel(waiting)).toMatchObject({ resultType: "complete" });
  expect((await sessions.get(id)).state).toBe(State.QUEUED);
  expect(await client().cancel(task)).toMatchObject({ resultType: "complete" });
  await expect.poll(async () => (await sessions.get(id)).state).toBe(State.CANCELED);
  expect(await client().get(task)).toMatchObject({ status: "cancelled" });
  // Once more is no error.
  expect(await client().cancel(task)).toMatchObject({ resultType: "complete" });
  const { error } = await client().request("tasks/get", { taskId: "spawn.ses_none" });
  expect(error).toMatchObject({ code: -32602 });
});

test("a client that does not declare tasks has none, and one that waits for what has ended has its result", async () => {
  const { sessions, client, newest } = start();
  const plain = taskClient((request) => client().fetch(request), FORMS, { tasks: false });
  for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
    const { error } = await plain.request(method, { taskId: "x", inputResponses: {} });
    expect(error).toMatchObject({ code: -32021 });
  }
  const calling = plain.call(spawn);
  await expect.poll(async () => (await sessions.list({})).sessions.length).toBe(1);
  const id = await newest();
  sessions.finish(id);
  expect(await calling).toMatchObject({ resultType: "complete", _meta: { [DATA]: { state: "succeeded" } } });
  const waited = await client().call({ name: "wait_session", arguments: { session_id: id } });
  expect(waited).toMatchObject({ resultType: "complete" });
});
