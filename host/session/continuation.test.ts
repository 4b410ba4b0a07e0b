import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import {
  type CommandSpec,
  CommandSpecSchema,
  ContainerSpecSchema,
  type EventBody,
  RepositorySpecSchema,
  SessionFinishedSchema,
  SessionResultSchema,
  SessionSpecSchema,
  SessionStartedSchema,
  Session_State,
} from "../../proto/index.ts";
import { managerOptions, startContainers } from "../../test/support/manager-options.ts";
import { FakeMachine } from "../runtime/fake/fake-machine.ts";
import { FakeRuntime } from "../runtime/fake/fake-runtime.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { SessionManager } from "./session-manager.ts";

type Result = MessageInitShape<typeof SessionResultSchema>;

const uri = "https://git.example.com/team/project";

/** A store with the session ses_1, which nobody runs, and managers of it, one after the other, whose containers are counted. */
function start({ setup, setups = new Map() }: { setup?: CommandSpec; setups?: Map<string, string> } = {}) {
  const stack = new AsyncDisposableStack();
  const store = stack.use(SqliteStore.open(":memory:"));
  const started = vi.fn(() => {
    throw new Error("the container was to be made");
  });
  const runtime = stack.use(new FakeRuntime({ machine: new FakeMachine({ createAgent: started }) }));
  const containers = stack.use(startContainers(runtime, store));
  const open = () => SessionManager.open({ containers, store, ...managerOptions(), setups });
  const append = (event: EventBody) => store.append("ses_1", [{ event, occurTimeMs: Date.now() }]);
  store.createSession("ses_1", { container: "{}", events: [] });
  const repository = create(RepositorySpecSchema, { uri, depth: 1 });
  const spec = create(SessionSpecSchema, { task: "x", repository, setup });
  append({ case: "sessionStarted", value: create(SessionStartedSchema, { sessionId: "ses_1", spec }) });
  const finish = (state: Session_State, result: Result = {}) => {
    const value = { state, result: create(SessionResultSchema, { baseCommitId: "a".repeat(40), ...result }) };
    append({ case: "sessionFinished", value: create(SessionFinishedSchema, value) });
  };
  const follow = (sessions: SessionManager) =>
    sessions.create({
      spec: create(SessionSpecSchema, { task: "y", afterSessionId: "ses_1" }),
      container: create(ContainerSpecSchema),
    });
  return { store, started, open, finish, follow, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const over = async (sessions: SessionManager, id: string) => {
  await vi.waitFor(async () => expect((await sessions.get(id)).result).toBeDefined(), 10_000);
  return await sessions.get(id);
};

test("a session that follows another one waits for it in the queue", async () => {
  await using host = start();
  await using sessions = host.open();
  const { id } = await host.follow(sessions);
  await vi.waitFor(async () => expect((await sessions.get(id)).waitingReason).toBe("ses_1 to succeed"), 10_000);
  expect(await sessions.get(id)).toMatchObject({ state: Session_State.QUEUED, spec: { repository: { uri } } });
  expect(host.started).not.toHaveBeenCalled();
  host.finish(Session_State.SUCCEEDED);
  expect(await over(sessions, id)).toMatchObject({ waitingReason: "" });
  expect(host.started).toHaveBeenCalled();
});

test.each([
  [Session_State.FAILED, { outcome: { case: "failure", value: { reason: "X_FAILED" } } }, "failed (X_FAILED)"],
  [Session_State.CANCELED, { outcome: { case: "cancellation", value: { reason: "enough" } } }, "was canceled"],
  [Session_State.SUCCEEDED, { patchTruncated: true }, "more than its patch holds"],
] as [Session_State, Result, string][])(
  "a session does not start after one that ended in state %i without a result to start from",
  async (state, result, why) => {
    await using host = start();
    await using sessions = host.open();
    const { id } = await host.follow(sessions);
    host.finish(state, result);
    const session = await over(sessions, id);
    expect(session).toMatchObject({
      state: Session_State.FAILED,
      result: { outcome: { value: { reason: "PREVIOUS_SESSION_FAILED" } } },
    });
    expect(JSON.stringify(session.result!.outcome.value)).toContain(why);
    expect(host.started).not.toHaveBeenCalled();
    // Once that is known there is not even a session.
    await expect(host.follow(sessions)).rejects.toMatchObject({ reason: "PREVIOUS_SESSION_FAILED" });
  },
);

test("a session that waits for another one can be stopped", async () => {
  await using host = start();
  await using sessions = host.open();
  const { id } = await host.follow(sessions);
  await sessions.stop(id, { reason: "enough" });
  expect(await over(sessions, id)).toMatchObject({ state: Session_State.CANCELED });
});

test("a session follows only one that there is", async () => {
  await using host = start();
  await using sessions = host.open();
  host.finish(Session_State.SUCCEEDED);
  await sessions.delete("ses_1");
  await expect(host.follow(sessions)).rejects.toMatchObject({ reason: "PREVIOUS_SESSION_NOT_FOUND" });
});

test.each([
  ["that of the session before", { setup: "own" }, undefined, "own"],
  ["the configured one of the repository", {}, undefined, "configured"],
  ["its own", { setup: "own" }, "mine", "mine"],
  ["none where it says so", { setup: "own" }, "", ""],
])("a session's setup is %s", async (_, { setup }: { setup?: string }, given, expected) => {
  const command = (text: string | undefined) =>
    text === undefined ? {} : { setup: create(CommandSpecSchema, { command: text }) };
  await using host = start({ ...command(setup), setups: new Map([[uri, "configured"]]) });
  await using sessions = host.open();
  const { spec } = await sessions.create({
    spec: create(SessionSpecSchema, { task: "y", afterSessionId: "ses_1", ...command(given) }),
    container: create(ContainerSpecSchema),
  });
  expect(spec?.setup?.command).toBe(expected);
});
