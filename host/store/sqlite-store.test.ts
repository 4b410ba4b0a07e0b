import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  AssistantTextSchema,
  SessionFinishedSchema,
  SessionResultSchema,
  Session_State,
  StateChangedSchema,
} from "../../proto/index.ts";
import { SqliteStore } from "./sqlite-store.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "claudecluster-store-"));
  path = join(directory, "state", "sessions.db");
});
afterEach(() => rmSync(directory, { recursive: true }));

const text = (value: string) => ({
  case: "assistantText" as const,
  value: create(AssistantTextSchema, { text: value }),
});
const own = (value: string) => ({ event: text(value), occurTimeMs: 1000 });
const state = (value: Session_State) => ({
  event: { case: "stateChanged" as const, value: create(StateChangedSchema, { state: value }) },
  occurTimeMs: 2000,
});
const finished = {
  event: { case: "sessionFinished" as const, value: create(SessionFinishedSchema, { state: Session_State.SUCCEEDED }) },
  occurTimeMs: 3000,
};
const NEW = { container: "{}", events: [] };
const never = new AbortController().signal;

test("numbers the log and keeps the agent's number beside it, also for another process", () => {
  {
    using store = new SqliteStore(path);
    store.createSession("ses_1", NEW);
    expect(
      store.append("ses_1", [own("a"), { ...own("b"), agentSequence: 2 }]).map(({ sequence }) => sequence),
    ).toEqual([1, 2]);
    store.append("ses_1", [{ ...own("c"), agentSequence: 3 }, state(Session_State.RUNNING)]);
    expect(store.lastAgentSequence("ses_1")).toBe(3);
  }
  using store = new SqliteStore(path);
  expect(store.read("ses_1", { afterSequence: 1, limit: 2 }).map(({ sequence }) => sequence)).toEqual([2, 3]);
  expect(store.getSession("ses_1")).toMatchObject({ id: "ses_1", state: Session_State.RUNNING, lastSequence: 4 });
});

test("stores a batch whole or not at all", () => {
  using store = new SqliteStore(path);
  store.createSession("ses_1", NEW);
  store.append("ses_1", [own("a")]);
  // Somebody else has taken the second number of the batch.
  const other = new DatabaseSync(path);
  other.prepare("INSERT INTO event (session_id, sequence, data) VALUES ('ses_1', 3, x'')").run();
  expect(() => store.append("ses_1", [own("b"), own("c")])).toThrow(
    expect.objectContaining({ reason: "STORE_FAILED" }),
  );
  other.exec("DELETE FROM event WHERE sequence = 3");
  other.close();
  expect(store.read("ses_1", { afterSequence: 0, limit: 10 })).toHaveLength(1);
  expect(store.append("ses_1", [own("b")])[0]?.sequence).toBe(2);
});

test("wakes those who wait for the next event, and only then", async () => {
  using store = new SqliteStore(path);
  store.createSession("ses_1", NEW);
  let woken = false;
  const waiting = store.changed("ses_1", { afterSequence: 0, signal: never }).then(() => (woken = true));
  await Promise.resolve();
  expect(woken).toBe(false);
  store.append("ses_1", [own("a")]);
  await waiting;
  await store.changed("ses_1", { afterSequence: 0, signal: never });
  const abort = new AbortController();
  const aborted = store.changed("ses_1", { afterSequence: 1, signal: abort.signal });
  abort.abort();
  await aborted;
});

test("keeps the whole result beside the log and takes nothing after the last event", () => {
  using store = new SqliteStore(path);
  store.createSession("ses_1", NEW);
  store.putResult("ses_1", create(SessionResultSchema, { finalText: "done" }), Buffer.from("patch"));
  store.append("ses_1", [finished]);
  expect(store.getResult("ses_1")?.result.finalText).toBe("done");
  expect(Buffer.from(store.getResult("ses_1")!.patch).toString()).toBe("patch");
  expect(store.getSession("ses_1")?.state).toBe(Session_State.SUCCEEDED);
  expect(() => store.append("ses_1", [own("late")])).toThrow(expect.objectContaining({ reason: "SESSION_NOT_LIVE" }));
});

test("lists newest first, filtered and from a place on, and forgets what is deleted", () => {
  using store = new SqliteStore(path);
  for (const id of ["ses_1", "ses_2", "ses_3"]) {
    store.createSession(id, NEW);
    store.append(id, [state(id === "ses_2" ? Session_State.IDLE : Session_State.RUNNING)]);
  }
  const ids = (filter: { states?: Session_State[]; beforeId?: string; limit?: number }) =>
    store.listSessions({ states: [], parent: undefined, beforeId: undefined, limit: 9, ...filter }).map(({ id }) => id);
  expect(ids({})).toEqual(["ses_3", "ses_2", "ses_1"]);
  expect(ids({ states: [Session_State.RUNNING] })).toEqual(["ses_3", "ses_1"]);
  expect(ids({ beforeId: "ses_3", limit: 1 })).toEqual(["ses_2"]);
  store.append("ses_1", [finished]);
  store.deleteSession("ses_1");
  expect(ids({})).toEqual(["ses_3", "ses_2"]);
  expect(store.read("ses_1", { afterSequence: 0, limit: 1 })).toEqual([]);
});

test("treats sessions that have not finished as live in the next process", async () => {
  {
    using store = new SqliteStore(path);
    store.createSession("ses_1", { ...NEW, requestId: "r1", container: '{"image":"x"}', events: [own("a")] });
    store.createSession("ses_2", { ...NEW, events: [own("a"), finished] });
    store.createSession("ses_0", NEW);
    store.append("ses_1", [{ ...own("b"), agentSequence: 7 }]);
    expect(store.getContainerRef("ses_1")).toBeUndefined();
    store.putContainerRef("ses_1", "{}");
    store.putContainerRef("ses_1", '{"id":"c1"}');
  }
  using store = new SqliteStore(path);
  expect(store.liveSessionIds()).toEqual(["ses_0", "ses_1"]);
  expect(store.getContainer("ses_1")).toBe('{"image":"x"}');
  expect(store.getContainerRef("ses_1")).toBe('{"id":"c1"}');
  expect(store.lastAgentSequence("ses_1")).toBe(7);
  const waiting = store.changed("ses_1", { afterSequence: 2, signal: never });
  expect(store.append("ses_1", [own("c")])[0]?.sequence).toBe(3);
  expect(await waiting).toBe(true);
  expect(store.getSession("ses_1")?.lastSequence).toBe(3);
  store.append("ses_1", [finished]);
  expect(store.liveSessionIds()).toEqual(["ses_0"]);
  expect(await store.changed("ses_2", { afterSequence: 2, signal: never })).toBe(false);
});

test("finds a session by its request id as long as it is stored", () => {
  using store = new SqliteStore(path);
  expect(store.findByRequest("r1")).toBeUndefined();
  store.createSession("ses_1", { ...NEW, requestId: "r1", events: [finished] });
  expect(store.findByRequest("r1")).toBe("ses_1");
  expect(() => store.createSession("ses_2", { ...NEW, requestId: "r1" })).toThrow(
    expect.objectContaining({ reason: "REQUEST_ID_TAKEN" }),
  );
  expect(store.getSession("ses_2")).toBeUndefined();
  store.deleteSession("ses_1");
  store.createSession("ses_2", { ...NEW, requestId: "r1" });
});

test("is readable by its user only and refuses a newer file", () => {
  new SqliteStore(path)[Symbol.dispose]();
  expect(statSync(path).mode & 0o077).toBe(0);
  expect(statSync(join(directory, "state")).mode & 0o077).toBe(0);
  const database = new DatabaseSync(path);
  database.exec("PRAGMA user_version = 99");
  database.close();
  expect(() => new SqliteStore(path)).toThrow(expect.objectContaining({ reason: "STORE_TOO_NEW" }));
});
