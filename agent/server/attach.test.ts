import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AttachStart_Role as Role, ErrorInfoSchema, Session_State as State } from "../../proto/index.ts";
import { type AgentRig, attach, startRig } from "../../test/agent/agent-rig.ts";
import { type PreparingPlace, preparingPlace } from "../../test/agent/preparing-place.ts";

let place: PreparingPlace;
let rig: AgentRig;

beforeEach(async () => {
  place = preparingPlace();
  rig = await startRig({ place, timeouts: { heartbeatMs: 100 } });
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
});

async function startSession() {
  const connection = rig.connect();
  await connection.client.startSession({ sessionId: "ses_1", spec: { task: "wait" } });
  return connection;
}

test("says hello first and then everything from the beginning", async () => {
  const connection = await startSession();
  await using owner = attach(connection);
  expect((await owner.hello).state).toBe(State.PREPARING);
  await owner.event("phaseChanged");
  expect(owner.events.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
});

test("goes on after the last event that the caller has", async () => {
  const connection = await startSession();
  await using owner = attach(connection, { afterSequence: 2 });
  await owner.event("phaseChanged");
  expect(owner.events.map(({ sequence }) => sequence)).toEqual([3]);
});

test("ends the stream of an owner that is replaced, and only that one", async () => {
  const connection = await startSession();
  await using controller = attach(connection, { role: Role.CONTROLLER });
  await using first = attach(connection);
  await first.hello;
  await using second = attach(connection);
  await second.hello;
  const error = await first.done.catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: Code.Aborted });
  const [info] = (error as { findDetails(schema: typeof ErrorInfoSchema): unknown[] }).findDetails(ErrorInfoSchema);
  expect(info).toMatchObject({ reason: "OWNER_REPLACED", domain: "agent.claudecluster.dev" });
  place.progress(1);
  await Promise.all([second.event("cloneProgress"), controller.event("cloneProgress")]);
});

test("forgets events once the owner has acknowledged them and there is no room, and for nobody else", async () => {
  const connection = await startSession();
  place.progress(400, "x".repeat(30_000));
  await using controller = attach(connection, { role: Role.CONTROLLER });
  controller.send({ case: "acknowledge", value: { sequence: 400 } });
  await expect.poll(() => controller.refusals).toEqual(["ROLE_INSUFFICIENT"]);
  expect((await connection.client.getSession({})).session?.acknowledgedSequence).toBe(0);
  await using owner = attach(connection, { acknowledge: false });
  owner.send({ case: "acknowledge", value: { sequence: 400 } });
  const acknowledged = async () => (await connection.client.getSession({})).session?.acknowledgedSequence;
  await expect.poll(acknowledged).toBe(400);
  await using late = attach(connection, { role: Role.OBSERVER });
  await expect(late.done).rejects.toMatchObject({ code: Code.OutOfRange });
  await using later = attach(connection, { role: Role.OBSERVER, afterSequence: 400 });
  await later.event("cloneProgress");
  expect(later.events[0]?.sequence).toBe(401);
});

test("lets observers watch and nothing more", async () => {
  const connection = await startSession();
  await using observer = attach(connection, { role: Role.UNSPECIFIED });
  observer.send({ case: "stop", value: { reason: "mischief" } });
  observer.send({ case: "interrupt", value: {} });
  observer.send({ case: "userMessage", value: { text: "hello" } });
  observer.send({ case: "attach", value: {} });
  await expect
    .poll(() => observer.refusals)
    .toEqual(["ROLE_INSUFFICIENT", "ROLE_INSUFFICIENT", "ROLE_INSUFFICIENT", "ATTACHED_ALREADY"]);
  expect((await connection.client.getSession({})).session?.state).toBe(State.PREPARING);
});

test("stops the session for a controller, and ends the stream after the last event", async () => {
  const connection = await startSession();
  await using controller = attach(connection, { role: Role.CONTROLLER });
  controller.send({ case: "stop", value: { reason: "enough" } });
  await controller.done;
  const { event } = controller.events.at(-1)!;
  expect(event.case).toBe("sessionFinished");
  expect(event.value).toMatchObject({
    state: State.CANCELED,
    result: { outcome: { case: "cancellation", value: { reason: "enough" } } },
  });
  // Whoever comes later still gets everything.
  await using late = attach(connection, { role: Role.OBSERVER });
  await late.done;
  expect(late.events).toHaveLength(controller.events.length);
});

test("refuses messages that cannot be taken and goes on", async () => {
  const connection = await startSession();
  await using owner = attach(connection);
  owner.send({ case: "userMessage", value: { text: " " } });
  owner.send({ case: "userMessage", value: { text: "fine", messageId: "m1" } });
  owner.send({ case: "userMessage", value: { text: "ignored, not refused", messageId: "m1" } });
  owner.send({ case: "userMessage", value: { text: "x".repeat(1024 * 1024 + 1) } });
  await expect.poll(() => owner.refusals).toEqual(["MESSAGE_EMPTY", "MESSAGE_TOO_LONG"]);
});

test("refuses a stream that does not begin with attach, and one for another session", async () => {
  const connection = await startSession();
  const { client } = connection;
  await expect(first(client.attach(once({ request: { case: "interrupt", value: {} } })))).rejects.toMatchObject({
    code: Code.InvalidArgument,
  });
  await expect(
    first(client.attach(once({ request: { case: "attach", value: { sessionId: "ses_2" } } }))),
  ).rejects.toMatchObject({ code: Code.NotFound });
  await expect(first(client.attach(never()))).rejects.toMatchObject({ code: Code.InvalidArgument });
});

test("sends heartbeats while nothing happens", async () => {
  const connection = await startSession();
  const abort = new AbortController();
  const seen: (string | undefined)[] = [];
  try {
    for await (const { response } of connection.client.watchEvents({}, { signal: abort.signal })) {
      seen.push(response.case);
      if (seen.length === 4) break;
    }
  } finally {
    abort.abort();
  }
  expect(seen).toEqual(["hello", "events", "heartbeat", "heartbeat"]);
});

test("sends what gathers while a caller is slow in few messages, below a megabyte each", async () => {
  const connection = await startSession();
  const abort = new AbortController();
  const stage = "x".repeat(30_000);
  try {
    let messages = 0;
    let events = 0;
    for await (const { response } of connection.client.watchEvents({}, { signal: abort.signal })) {
      if (response.case !== "events") continue;
      if (messages === 0) place.progress(2000, stage);
      messages += 1;
      events += response.value.events.length;
      const bytes = response.value.events.length * 30_000;
      expect(bytes).toBeLessThan(1024 * 1024);
      if (events === 2003) break;
    }
    expect(messages).toBeLessThan(150);
  } finally {
    abort.abort();
  }
});

async function first<T>(source: AsyncIterable<T>): Promise<T> {
  for await (const value of source) return value;
  throw new Error("nothing came");
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}

async function* never(): AsyncGenerator<never> {}
