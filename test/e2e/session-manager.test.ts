import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { readPatch } from "../../host/present/read-session.ts";
import { AppError, ContainerSpecSchema, type Session, Session_State, SessionSpecSchema } from "../../proto/index.ts";
import { watchUpdates } from "../../host/session/watch-updates.ts";
import { notInPatch } from "../../host/present/not-in-patch.ts";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { applyPatch } from "../support/apply-patch.ts";
import { startFakeHost } from "../support/fake-host.ts";

const TASK = "[scenario: long-run seconds=8 steps=8]";

test("a container that dies leaves the changes that were streamed, and the true cause", async () => {
  await using host = await startFakeHost();
  const { id } = await host.start("[scenario: long-run seconds=60 steps=30]");
  const { session } = await host.follow(id, "filePatched", (box) => box?.exit({ cause: "outOfMemory", exitCode: 137 }));
  expect(session.state).toBe(Session_State.FAILED);
  expect(session.result?.outcome).toMatchObject({ case: "failure", value: { reason: "OUT_OF_MEMORY" } });
  expect(session.result).toMatchObject({ patchTruncated: true, patchFailure: { reason: "CHANGES_NOT_COLLECTED" } });
  expect(notInPatch(session.result!).join("\n")).toMatch(/^The patch may lack changes: .*\nWhether .* is not known\.$/);
  expect(session.result?.changes.length).toBeGreaterThan(0);
  const files = await applyPatch(host.bareRepository, await readPatch(host.sessions, id));
  expect(Object.keys(files).length).toBeGreaterThanOrEqual(Object.keys(SMALL_REPOSITORY).length);
  expect(host.machine.boxes).toEqual([]);
});

test("connections that break are dialled again: no event is missing or doubled, and the session succeeds", async () => {
  await using host = await startFakeHost();
  const { id } = await host.start(TASK);
  const { events, session } = await host.follow(id, "toolUseStarted", (box) => box?.cutConnections());
  expect(session.state, JSON.stringify(session.result?.outcome)).toBe(Session_State.SUCCEEDED);
  const kinds = events.map(({ event }) => event.case);
  expect(kinds).toContain("connectionLost");
  expect(kinds).toContain("connectionRestored");
  expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_event, index) => index + 1));
  const started = events.flatMap(({ event }) => (event.case === "toolUseStarted" ? [event.value.toolUseId] : []));
  expect(new Set(started).size).toBe(started.length);
  expect(kinds.filter((kind) => kind === "sessionFinished")).toHaveLength(1);
  expect(kinds.at(-1)).toBe("sessionFinished");
});

test("what a live session has used of the model is told while it runs", async () => {
  await using host = await startFakeHost();
  const { id } = await host.start(TASK);
  const told = Promise.withResolvers<Session>();
  using _updates = watchUpdates(host.sessions, [id], (session) => {
    if ((session.live?.meteredUsage?.requestCount ?? 0) > 1) told.resolve(session);
  });
  const following = host.follow(id);
  expect(await Promise.race([told.promise, following.then(() => "over")])).toMatchObject({ id });
  await following;
});

test("a container that somebody removes is said to be removed", async () => {
  await using host = await startFakeHost();
  const { id } = await host.start(TASK);
  const { session } = await host.follow(id, "turnStarted", (box) => box?.remove());
  expect(session.result?.outcome).toMatchObject({ case: "failure", value: { reason: "CONTAINER_REMOVED" } });
});

test("stopping keeps the first reason, collects the changes and removes the container", async () => {
  await using host = await startFakeHost();
  const { id } = await host.start(TASK);
  const { session } = await host.follow(id, "filePatched", () => {
    void host.sessions.stop(id, { reason: "first" });
    void host.sessions.stop(id, { reason: "second" });
  });
  expect(session.state).toBe(Session_State.CANCELED);
  expect(session.result?.outcome).toMatchObject({ case: "cancellation", value: { reason: "first" } });
  expect(session.result?.changeCount).toBeGreaterThan(0);
  expect(session.result?.patchTruncated).toBe(false);
  expect(host.machine.boxes).toEqual([]);
});

test("stopping while the container is being created leaves none", async () => {
  await using host = await startFakeHost();
  const held = host.machine.holdCreates();
  const { id } = await host.start(TASK);
  await held.matched;
  await host.sessions.stop(id, { reason: "changed my mind" });
  const { session } = await host.follow(id);
  held.release();
  expect(session.state).toBe(Session_State.CANCELED);
  expect(host.machine.boxes).toEqual([]);
});

test("a create that fails is the session's result", async () => {
  await using host = await startFakeHost();
  host.machine.failNextCreate(new AppError("CONTAINER_CREATE_FAILED", "No room.", { help: "Make some." }));
  const { id } = await host.start(TASK);
  const { session } = await host.follow(id);
  expect(session.result?.outcome).toMatchObject({
    value: { reason: "CONTAINER_CREATE_FAILED", message: "No room. Make some." },
  });
});

test("closing the host ends its sessions and leaves no container", async () => {
  await using host = await startFakeHost();
  const { id } = await host.start(TASK);
  let closed: Promise<void> | undefined;
  await host.follow(id, "turnStarted", () => {
    closed = host.sessions[Symbol.asyncDispose]();
  });
  await closed;
  expect((await host.sessions.get(id)).state).toBe(Session_State.CANCELED);
  expect(host.machine.boxes).toEqual([]);
  await expect(host.start(TASK)).rejects.toMatchObject({ reason: "HOST_CLOSING" });
});

test("the same request id gives the same session, and unknown ids are not found", async () => {
  await using host = await startFakeHost();
  const request = {
    spec: create(SessionSpecSchema, { task: TASK }),
    container: create(ContainerSpecSchema),
    requestId: "r1",
  };
  const first = await host.sessions.create(request);
  expect((await host.sessions.create(request)).id).toBe(first.id);
  await expect(host.sessions.get("ses_NONE")).rejects.toMatchObject({ reason: "SESSION_NOT_FOUND", kind: "NOT_FOUND" });
  await host.sessions.stop(first.id, { reason: "enough" });
  await host.follow(first.id);
});
