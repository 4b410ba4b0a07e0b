import { expect, test } from "vitest";
import { AppError, type SessionEvent, Session_State } from "../../proto/index.ts";
import { startFakeHost } from "../support/fake-host.ts";

const TASK = "[scenario: long-run seconds=6 steps=6]";

const kindsOf = (events: SessionEvent[]) => events.map(({ event }) => event.case);

test("a host that comes back takes up its running session: same container, no event missing or doubled", async () => {
  await using host = await startFakeHost();
  const { id } = await host.start(TASK);
  await expect(host.follow(id, "filePatched", () => void host.restart())).rejects.toMatchObject({
    reason: "HOST_CLOSING",
    retryable: true,
  });
  const { events, session } = await host.follow(id);
  expect(session.state, JSON.stringify(session.result?.outcome)).toBe(Session_State.SUCCEEDED);
  expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_event, index) => index + 1));
  const kinds = kindsOf(events);
  expect(kinds.filter((kind) => kind === "connectionMade")).toHaveLength(1);
  expect(kinds.filter((kind) => kind === "connectionLost")).toHaveLength(1);
  expect(kinds.filter((kind) => kind === "connectionRestored")).toHaveLength(1);
  expect(kinds.filter((kind) => kind === "turnStarted")).toHaveLength(1);
  expect(kinds.filter((kind) => kind === "sessionFinished")).toHaveLength(1);
  const started = events.flatMap(({ event }) => (event.case === "toolUseStarted" ? [event.value.toolUseId] : []));
  expect(new Set(started).size).toBe(started.length);
  expect(host.machine.boxes).toEqual([]);
});

test("a container that went while no host was there is said to be gone, with the changes up to then", async () => {
  await using host = await startFakeHost();
  const { id } = await host.start("[scenario: long-run seconds=60 steps=30]");
  await host
    .follow(id, "filePatched", (box) => {
      void host.sessions.detach();
      box?.remove();
    })
    .catch(() => {});
  await host.restart();
  const { session } = await host.follow(id);
  expect(session.result?.outcome).toMatchObject({ case: "failure", value: { reason: "CONTAINER_REMOVED" } });
  expect(session.result?.changes.length).toBeGreaterThan(0);
});

test("sessions wait for their turn, in order, and can be stopped while they wait", async () => {
  await using host = await startFakeHost({ queue: { maxRunning: 1 } });
  const first = await host.start("[scenario: long-run seconds=60 steps=30]");
  const second = await host.start("[scenario: small-edit]");
  const third = await host.start("[scenario: small-edit]");
  const stop = () => void host.sessions.stop(third.id, { reason: "not needed" });
  const { events, session } = await host.follow(third.id, "queuePositionChanged", stop);
  expect(session.state).toBe(Session_State.CANCELED);
  expect(events.flatMap(({ event }) => (event.case === "queuePositionChanged" ? [event.value.position] : []))).toEqual([
    2,
  ]);
  expect((await host.sessions.get(second.id)).state).toBe(Session_State.QUEUED);
  await host.follow(first.id, "turnStarted", () => void host.sessions.stop(first.id, { reason: "enough" }));
});

test("a create that the engine failed at by chance is tried again, and said so", async () => {
  await using host = await startFakeHost();
  host.machine.failNextCreate(new AppError("CONTAINER_CREATE_FAILED", "It broke.", { retryable: true }));
  const { id } = await host.start(TASK);
  const { events, session } = await host.follow(id, "turnStarted", () => void host.sessions.stop(id, { reason: "-" }));
  expect(session.state).toBe(Session_State.CANCELED);
  const messages = events.flatMap(({ event }) => (event.case === "containerProgress" ? [event.value.message] : []));
  expect(messages).toContain("It broke. It is tried again.");
});

test("an engine that was never there is not waited for", async () => {
  await using host = await startFakeHost({ healthy: false });
  host.machine.failNextCreate(new AppError("RUNTIME_UNAVAILABLE", "No engine.", { retryable: true }));
  const { id } = await host.start("[scenario: small-edit]");
  const { session } = await host.follow(id);
  expect(session.result?.outcome).toMatchObject({ value: { reason: "RUNTIME_UNAVAILABLE" } });
});

test("a message to a session that does not run yet is Claude's next turn, also where the host went away meanwhile", async () => {
  await using host = await startFakeHost();
  const { id } = await host.start(TASK);
  await host.sessions.sendMessage(id, { text: "[scenario: small-edit] And then this.", messageId: "m1" });
  await host
    .follow(id, "turnStarted", () => {
      void host.sessions.sendMessage(id, { text: "And then this.", messageId: "m1" });
      void host.restart();
    })
    .catch(() => {});
  const { events, session } = await host.follow(id);
  expect(session.state).toBe(Session_State.SUCCEEDED);
  const turns = events.flatMap(({ event }) => (event.case === "turnStarted" ? [event.value.messageId] : []));
  expect(turns).toEqual(["", "m1"]);
});

test("a stop is not forgotten by a host that is restarted", async () => {
  await using host = await startFakeHost({ queue: { maxRunning: 1 } });
  const running = await host.start("[scenario: long-run seconds=60 steps=30]");
  await host
    .follow(running.id, "turnStarted", () => {
      void host.sessions.stop(running.id, { reason: "enough" });
      void host.restart();
    })
    .catch(() => {});
  const { session } = await host.follow(running.id);
  expect(session.result?.outcome).toMatchObject({ case: "cancellation", value: { reason: "enough" } });
});
