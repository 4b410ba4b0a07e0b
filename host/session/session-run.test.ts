import { create } from "@bufbuild/protobuf";
import { expect, onTestFinished, test, vi } from "vitest";
import { EmittingAgent } from "../../test/load/emitting-agent.ts";
import { managerOptions, startContainers } from "../../test/support/manager-options.ts";
import {
  AttachRequestSchema,
  type AttachRequest,
  completeSpec,
  ContainerSpecSchema,
  Session_State,
  SessionSpecSchema,
  SessionStartedSchema,
  StopSchema,
} from "../../proto/index.ts";
import { completeShape } from "../containers/container-shape.ts";
import { FakeMachine } from "../runtime/fake/fake-machine.ts";
import { FakeRuntime } from "../runtime/fake/fake-runtime.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { traceOf } from "../traces/trace-ids.ts";
import { Reservations } from "./reservations.ts";
import { SessionLog } from "./session-log.ts";
import { SessionRun } from "./session-run.ts";
import { TIMEOUTS } from "./timeouts.ts";

/** A stored session, on a machine whose agents say nothing until they are told to. */
function start({ answers = true, maxRunning = 9 } = {}) {
  const spec = completeSpec(create(SessionSpecSchema, { task: "x" }));
  const store = SqliteStore.open(":memory:");
  onTestFinished(() => store[Symbol.dispose]());
  const log = SessionLog.create(
    store,
    { sessionId: "ses_1", requestId: undefined, container: "{}" },
    { case: "sessionStarted", value: create(SessionStartedSchema, { sessionId: "ses_1", spec }) },
  );
  const said: AttachRequest["request"]["case"][] = [];
  const agent = new EmittingAgent({
    eventsPerSecond: 0,
    eventCount: Infinity,
    onRequest: ({ request }) => void said.push(request.case),
  });
  const { promise: exited, resolve } = Promise.withResolvers<{ exitCode: number }>();
  const machine = new FakeMachine({
    createAgent: () => ({
      exited,
      serve: (stream) => (answers ? agent.serve(stream) : stream.destroy()),
      kill: () => resolve({ exitCode: 137 }),
    }),
  });
  const runtime = new FakeRuntime({ machine });
  const { logger, ...access } = managerOptions();
  const containers = startContainers(runtime, store, { maxRunning, maxMemoryBytes: Infinity });
  onTestFinished(() => containers[Symbol.asyncDispose]());
  const run = (resumed = false) =>
    SessionRun.start({
      ...access,
      spec,
      trace: traceOf("ses_1", spec),
      shape: completeShape(create(ContainerSpecSchema), { image: "agent:test" }),
      log: new SessionLog(store, "ses_1"),
      store,
      containers,
      reservations: new Reservations(),
      onChanged: () => {},
      logger,
      resumed,
    });
  return { store, log, machine, containers, agent, said, run };
}

type Started = ReturnType<typeof start>;

const stateOf = ({ store }: Started) => store.getSession("ses_1")!.state;
const resultOf = ({ store }: Started) => store.left.getResult("ses_1");

/** Waits until the host has stored what the agent said first. */
async function running(session: Started): Promise<void> {
  await vi.waitUntil(() => session.store.lastAgentSequence("ses_1") > 0, { interval: 1, timeout: 20_000 });
}

test("a session that is stopped is asked for its changes before its container goes", async () => {
  const session = start();
  const run = session.run();
  await running(session);
  run.stop("enough");
  run.stop("too late");
  await run.finished;
  expect(session.said).toContain("stop");
  expect(resultOf(session)?.outcome).toMatchObject({ case: "cancellation", value: { reason: "enough" } });
  expect(stateOf(session)).toBe(Session_State.CANCELED);
  expect(session.machine.boxes).toEqual([]);
  expect(run.failed.aborted).toBe(false);
});

test("a session whose agent never answered is not waited for when it is stopped", async () => {
  const session = start({ answers: false });
  const run = session.run();
  await vi.waitUntil(() => session.machine.boxes.length === 1, { interval: 1, timeout: 20_000 });
  await vi.waitUntil(() => session.store.getContainerRef("ses_1") !== undefined, { interval: 1, timeout: 20_000 });
  run.stop("enough");
  await run.finished;
  expect(resultOf(session)?.outcome).toMatchObject({ case: "cancellation", value: { reason: "enough" } });
  expect(session.machine.boxes).toEqual([]);
});

test("a session that is killed is over at once, with its reason, without asking its agent", async () => {
  const session = start();
  const run = session.run();
  await running(session);
  run.kill("The host is shutting down.");
  await run.finished;
  expect(session.said).not.toContain("stop");
  expect(resultOf(session)?.outcome).toMatchObject({ value: { reason: "The host is shutting down." } });
  expect(stateOf(session)).toBe(Session_State.CANCELED);
  expect(session.machine.boxes).toEqual([]);
});

test("a session that is over says so while its container is still being removed, and is not done before", async () => {
  const session = start();
  const removal = session.machine.holdRemovals();
  const run = session.run();
  await running(session);
  const done = vi.fn();
  void run.finished.then(done);
  session.agent.finish();
  await removal.matched;
  await vi.waitUntil(() => stateOf(session) === Session_State.SUCCEEDED, { interval: 1, timeout: 20_000 });
  expect(done).not.toHaveBeenCalled();
  // If this host is killed now, the next one's sweep takes it.
  expect(session.store.liveContainerRefs()).toEqual([]);
  removal.release();
  await run.finished;
  expect(session.machine.boxes).toEqual([]);
});

test("a session that is let go of keeps its container and its open log, for the next host", async () => {
  const session = start();
  const before = session.run();
  await running(session);
  before.detach();
  await before.finished;
  expect(before.failed.reason).toMatchObject({ reason: "HOST_CLOSING" });
  expect(resultOf(session)).toBeUndefined();
  expect(session.machine.boxes).toHaveLength(1);
  const next = session.run(true);
  session.agent.finish();
  await next.finished;
  expect(stateOf(session)).toBe(Session_State.SUCCEEDED);
  expect(session.machine.boxes).toEqual([]);
});

test("a session that was stopped, then let go of, is stopped by the next host", async () => {
  const session = start();
  const request: AttachRequest["request"] = { case: "stop", value: create(StopSchema, { reason: "enough" }) };
  session.log.keepRequest("stop", create(AttachRequestSchema, { request }));
  const run = session.run(true);
  await run.finished;
  expect(resultOf(session)?.outcome).toMatchObject({ case: "cancellation", value: { reason: "enough" } });
  expect(session.machine.boxes).toEqual([]);
});

test("a stop that comes when the session has been let go of is done by the next host", async () => {
  const session = start();
  const before = session.run();
  await running(session);
  before.detach();
  before.stop("enough");
  await before.finished;
  expect(session.said).not.toContain("stop");
  const next = session.run(true);
  await next.finished;
  expect(resultOf(session)?.outcome).toMatchObject({ case: "cancellation", value: { reason: "enough" } });
});

test("what an earlier host stored of a session's end is not changed when the next one finishes its log", async () => {
  const session = start();
  const before = session.run();
  await running(session);
  // The result is stored, the last event is not any more.
  const store = session.store.append.bind(session.store);
  const append = vi.spyOn(session.store, "append").mockImplementation((id, events) => {
    if (events.some(({ event }) => event.case === "sessionFinished")) throw new Error("the host is killed here");
    return store(id, events);
  });
  session.agent.finish();
  await before.finished;
  const stored = resultOf(session);
  expect(stored?.outcome.case).toBe("success");
  append.mockRestore();
  const next = session.run(true);
  await next.finished;
  expect(resultOf(session)).toEqual(stored);
  expect(stateOf(session)).toBe(Session_State.SUCCEEDED);
});

test("an agent that does not end its session after a stop is left, and the stop is still the reason", async () => {
  const session = start();
  const run = session.run();
  await running(session);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  vi.spyOn(session.agent, "finish").mockImplementation(() => {});
  run.stop("enough");
  await vi.advanceTimersByTimeAsync(TIMEOUTS.collectMs);
  await run.finished;
  expect(resultOf(session)?.outcome).toMatchObject({ case: "cancellation", value: { reason: "enough" } });
  expect(session.machine.boxes).toEqual([]);
});

test("a session whose host was killed before it could say which container it has, says so with the next host", async () => {
  const session = start();
  const { store, containers } = session;
  const shape = completeShape(create(ContainerSpecSchema), { image: "agent:test" });
  const options = { signal: AbortSignal.timeout(20_000), onProgress: () => {}, onPosition: () => {} };
  using lease = await containers.lease(shape, options);
  store.putContainerRef("ses_1", lease.handle);
  const run = session.run(true);
  await running(session);
  expect(store.getSession("ses_1")).toMatchObject({
    containerId: lease.container.ref.id,
    state: Session_State.RUNNING,
  });
  expect(session.machine.boxes).toHaveLength(1);
  run.kill("The test is over.");
  await run.finished;
});
