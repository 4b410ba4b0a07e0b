import { DatabaseSync } from "node:sqlite";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { Artifact_Kind, type ArtifactKind, SessionResultSchema, Session_State } from "../../proto/index.ts";
import { collectGarbage } from "../../test/support/collect-garbage.ts";
import {
  entered,
  finished,
  NEW,
  readWhole,
  said,
  storeArtifact,
  temporaryStore,
} from "../../test/support/stored-sessions.ts";
import { SqliteStore } from "./sqlite-store.ts";

let place: ReturnType<typeof temporaryStore>;
let path: string;
beforeEach(() => {
  place = temporaryStore();
  path = place.path;
});
afterEach(() => place[Symbol.dispose]());

test("numbers the log and keeps the agent's number beside it, also for another process", () => {
  {
    using store = SqliteStore.open(path);
    store.createSession("ses_1", NEW);
    expect(store.append("ses_1", [said("a"), said("b", 2)]).map(({ sequence }) => sequence)).toEqual([1, 2]);
    store.append("ses_1", [said("c", 3), entered(Session_State.RUNNING)]);
    expect(store.lastAgentSequence("ses_1")).toBe(3);
  }
  using store = SqliteStore.open(path);
  expect(store.read("ses_1", { afterSequence: 1, limit: 2 }).map(({ sequence }) => sequence)).toEqual([2, 3]);
  expect(store.getSession("ses_1")).toMatchObject({ id: "ses_1", state: Session_State.RUNNING, lastSequence: 4 });
});

test("stores a batch whole or not at all", () => {
  using store = SqliteStore.open(path);
  store.createSession("ses_1", NEW);
  store.append("ses_1", [said("a")]);
  // Somebody else has taken the second number of the batch.
  const other = new DatabaseSync(path);
  other.prepare("INSERT INTO event (session_id, sequence, data) VALUES ('ses_1', 3, x'')").run();
  expect(() => store.append("ses_1", [said("b"), said("c")])).toThrow(
    expect.objectContaining({ reason: "STORE_FAILED" }),
  );
  other.exec("DELETE FROM event WHERE sequence = 3");
  other.close();
  expect(store.read("ses_1", { afterSequence: 0, limit: 10 })).toHaveLength(1);
  expect(store.append("ses_1", [said("b")])[0]?.sequence).toBe(2);
});

test("keeps the files of a user that a session was created with, for as long as the session", async () => {
  using store = SqliteStore.open(path);
  store.createSession("ses_1", { ...NEW, events: [finished()], userFiles: Buffer.from("files") });
  store.createSession("ses_2", NEW);
  expect(Buffer.from(store.getUserFiles("ses_1")!).toString()).toBe("files");
  expect(store.getUserFiles("ses_2")).toBeUndefined();
  await store.deleteSession("ses_1");
  expect(store.getUserFiles("ses_1")).toBeUndefined();
});

test("wakes those who wait for the next event, and only then", async () => {
  using store = SqliteStore.open(path);
  store.createSession("ses_1", NEW);
  let woken = false;
  const waiting = store.changed("ses_1", { afterSequence: 0 }).then(() => (woken = true));
  await Promise.resolve();
  expect(woken).toBe(false);
  store.append("ses_1", [said("a")]);
  await waiting;
  await store.changed("ses_1", { afterSequence: 0 });
  const again = store.changed("ses_1", { afterSequence: 1 });
  store.wake("ses_1");
  expect(await again).toBe(true);
});

test("keeps the whole result beside the log and takes nothing after the last event", async () => {
  using store = SqliteStore.open(path);
  store.createSession("ses_1", NEW);
  const store1 = (kind: ArtifactKind, text: string) =>
    storeArtifact(store, { sessionId: "ses_1", kind, bytes: Buffer.from(text) });
  store.left.put("ses_1", {
    result: create(SessionResultSchema, { finalText: "done" }),
    artifacts: [await store1(Artifact_Kind.PATCH, "patch"), await store1(Artifact_Kind.TRANSCRIPT, "transcript")],
  });
  expect((await readWhole(store.left.getArtifact("ses_1", Artifact_Kind.TRANSCRIPT)!)).toString()).toBe("transcript");
  store.append("ses_1", [finished()]);
  expect(store.left.getResult("ses_1")?.finalText).toBe("done");
  expect((await readWhole(store.left.getArtifact("ses_1", Artifact_Kind.PATCH)!)).toString()).toBe("patch");
  expect(store.getSession("ses_1")?.state).toBe(Session_State.SUCCEEDED);
  expect(() => store.append("ses_1", [said("late")])).toThrow(expect.objectContaining({ reason: "SESSION_NOT_LIVE" }));
});

test("lists newest first, filtered and from a place on, and forgets what is deleted", async () => {
  using store = SqliteStore.open(path);
  for (const id of ["ses_1", "ses_2", "ses_3"]) {
    store.createSession(id, NEW);
    store.append(id, [entered(id === "ses_2" ? Session_State.IDLE : Session_State.RUNNING)]);
  }
  const ids = (filter: { states?: Session_State[]; beforeId?: string; limit?: number }) =>
    store.listSessions({ states: [], parent: undefined, beforeId: undefined, limit: 9, ...filter }).map(({ id }) => id);
  expect(ids({})).toEqual(["ses_3", "ses_2", "ses_1"]);
  expect(ids({ states: [Session_State.RUNNING] })).toEqual(["ses_3", "ses_1"]);
  expect(ids({ beforeId: "ses_3", limit: 1 })).toEqual(["ses_2"]);
  store.append("ses_1", [finished()]);
  await store.deleteSession("ses_1");
  expect(ids({})).toEqual(["ses_3", "ses_2"]);
  expect(store.read("ses_1", { afterSequence: 0, limit: 1 })).toEqual([]);
});

test("treats sessions that have not finished as live in the next process", async () => {
  {
    using store = SqliteStore.open(path);
    store.createSession("ses_1", { ...NEW, requestId: "r1", container: '{"image":"x"}', events: [said("a")] });
    store.createSession("ses_2", { ...NEW, events: [said("a"), finished()] });
    store.createSession("ses_0", NEW);
    store.append("ses_1", [said("b", 7)]);
    expect(store.getContainerRef("ses_1")).toBeUndefined();
    store.putContainerRef("ses_1", "{}");
    store.putContainerRef("ses_1", '{"id":"c1"}');
  }
  using store = SqliteStore.open(path);
  expect(store.liveSessionIds()).toEqual(["ses_0", "ses_1"]);
  expect(store.getContainer("ses_1")).toBe('{"image":"x"}');
  expect(store.getContainerRef("ses_1")).toBe('{"id":"c1"}');
  expect(store.liveContainerRefs()).toEqual(['{"id":"c1"}']);
  expect(store.lastAgentSequence("ses_1")).toBe(7);
  const waiting = store.changed("ses_1", { afterSequence: 2 });
  expect(store.append("ses_1", [said("c")])[0]?.sequence).toBe(3);
  expect(await waiting).toBe(true);
  expect(store.getSession("ses_1")?.lastSequence).toBe(3);
  store.append("ses_1", [finished()]);
  expect(store.liveSessionIds()).toEqual(["ses_0"]);
  expect(await store.changed("ses_2", { afterSequence: 2 })).toBe(false);
});

test("finds a session by its request id as long as it is stored", async () => {
  using store = SqliteStore.open(path);
  expect(store.findByRequest("r1")).toBeUndefined();
  store.createSession("ses_1", { ...NEW, requestId: "r1", events: [finished()] });
  expect(store.findByRequest("r1")).toBe("ses_1");
  expect(() => store.createSession("ses_2", { ...NEW, requestId: "r1" })).toThrow(
    expect.objectContaining({ reason: "REQUEST_ID_TAKEN" }),
  );
  expect(store.getSession("ses_2")).toBeUndefined();
  await store.deleteSession("ses_1");
  store.createSession("ses_2", { ...NEW, requestId: "r1" });
});

test("gives a reader no more at a time than it can hold", () => {
  using store = SqliteStore.open(path);
  store.createSession("ses_1", { ...NEW, events: Array.from({ length: 20 }, () => said("x".repeat(60_000))) });
  const sequences: number[] = [];
  for (;;) {
    const page = store.read("ses_1", { afterSequence: sequences.at(-1) ?? 0, limit: 200 });
    if (page.length === 0) break;
    expect(page.length).toBeLessThan(10);
    sequences.push(...page.map(({ sequence }) => sequence));
  }
  expect(sequences).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
});

test("writes a session's row only where an event changes it, and knows its newest number all the same", () => {
  {
    using store = SqliteStore.open(path);
    store.createSession("ses_1", { ...NEW, events: [entered(Session_State.RUNNING)] });
    const row = () => new DatabaseSync(path, { readOnly: true }).prepare("SELECT snapshot FROM session").get();
    const before = row();
    store.append("ses_1", [said("a", 4)]);
    expect(row()).toEqual(before);
    expect(store.getSession("ses_1")?.lastSequence).toBe(2);
  }
  using store = SqliteStore.open(path);
  expect(store.getSession("ses_1")?.lastSequence).toBe(2);
  expect(store.lastAgentSequence("ses_1")).toBe(4);
  expect(store.append("ses_1", [said("b")])[0]?.sequence).toBe(3);
  expect(store.listSessions({ states: [], parent: undefined, beforeId: undefined, limit: 1 })[0]?.lastSequence).toBe(3);
});

test("keeps what was said to a session until it has arrived, in order, each name once", async () => {
  using store = SqliteStore.open(path);
  store.createSession("ses_1", NEW);
  for (const name of ["b", "a", "b"]) store.requests.put("ses_1", name, Buffer.from(`said ${name}`));
  expect(store.requests.list("ses_1").map(({ name }) => name)).toEqual(["b", "a"]);
  expect(store.requests.names("ses_1")).toEqual(["b", "a"]);
  store.requests.remove("ses_1", "b");
  expect(store.requests.list("ses_1").map(({ data }) => Buffer.from(data).toString())).toEqual(["said a"]);
  store.append("ses_1", [finished()]);
  await store.deleteSession("ses_1");
  expect(store.requests.list("ses_1")).toEqual([]);
});

test("sessions that wait keep none of their events in memory, and readers get them all the same", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  using store = SqliteStore.open(path);
  const ids = Array.from({ length: 50 }, (_, index) => `ses_${index}`);
  const used = () => {
    collectGarbage();
    return process.memoryUsage().arrayBuffers;
  };
  const before = used();
  const texts = Array.from({ length: 10 }, (_, index) => String(index).repeat(10_000));
  for (const id of ids) {
    store.createSession(id, NEW);
    for (const text of texts) store.append(id, [said(text)]);
  }
  const awake = (used() - before) / ids.length;
  expect(awake).toBeGreaterThan(100_000);
  // One of them goes on.
  vi.advanceTimersByTime(11_000);
  store.append("ses_0", [said("more")]);
  vi.advanceTimersByTime(10_000);
  // V8 gives the memory of buffers back in a thread of its own, after it has collected them.
  await expect.poll(() => (used() - before) / ids.length, { timeout: 10_000 }).toBeLessThan(4_000 + awake / ids.length);
  for (const id of ids) {
    const read = store.read(id, { afterSequence: 0, limit: 20 });
    expect(read.slice(0, 10).map(({ event }) => event.case === "assistantText" && event.value.text)).toEqual(texts);
  }
  expect(store.read("ses_1", { afterSequence: 9, limit: 20 }).map(({ sequence }) => sequence)).toEqual([10]);
  expect(store.append("ses_1", [said("again")])).toEqual(store.read("ses_1", { afterSequence: 10, limit: 20 }));
});
