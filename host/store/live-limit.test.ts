import { expect, test } from "vitest";
import { type SessionEvent, Session_State } from "../../proto/index.ts";
import { entered, finished, NEW, said } from "../../test/support/stored-sessions.ts";
import { SqliteStore } from "./sqlite-store.ts";

const LIMIT = 100_000;

function* readAll(store: SqliteStore, id: string): Generator<SessionEvent> {
  for (let afterSequence = 0; ;) {
    const page = store.read(id, { afterSequence, limit: 50 });
    if (page.length === 0) return;
    yield* page;
    afterSequence = page.at(-1)!.sequence;
  }
}

test("a session that has stored too much keeps its course, says what it left out, and counts on", () => {
  using store = SqliteStore.open(":memory:", { maxLiveBytes: LIMIT });
  store.createSession("ses_1", NEW);
  for (let number = 1; number <= 20; number++) store.append("ses_1", [said("x".repeat(10_000), number)]);
  store.append("ses_1", [entered(Session_State.IDLE, 21), said("x", 22)]);
  // The host's own is kept whatever it is.
  store.append("ses_1", [said("x".repeat(10_000))]);
  expect(store.lastAgentSequence("ses_1")).toBe(22);
  store.append("ses_1", [finished()]);

  const events = [...readAll(store, "ses_1")];
  expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_event, index) => index + 1));
  const kinds = events.map(({ event }) => event.case);
  expect(kinds.slice(0, 9)).toEqual(Array.from({ length: 9 }, () => "assistantText"));
  expect(kinds.slice(9)).toEqual([
    "outputTruncated",
    "stateChanged",
    "assistantText",
    "outputTruncated",
    "sessionFinished",
  ]);
  const leftOut = events.flatMap(({ event }) =>
    event.case === "outputTruncated" ? [[event.value.source, Number(event.value.sizeBytes)]] : [],
  );
  expect(leftOut.map(([source]) => source)).toEqual(["log", "log"]);
  const total = leftOut.reduce((sum, [, size]) => sum + Number(size), 0);
  expect(total).toBeGreaterThan(100_000);
  expect(total).toBeLessThan(120_000);
});

test("an agent that floods the host with changes of state is stopped a little later", () => {
  using store = SqliteStore.open(":memory:", { maxLiveBytes: LIMIT });
  store.createSession("ses_1", NEW);
  for (let number = 1; number <= 5000; number++) {
    store.append("ses_1", [entered(number % 2 === 0 ? Session_State.IDLE : Session_State.RUNNING, number)]);
  }
  const stored = store.getSession("ses_1")!.lastSequence;
  expect(stored * 64).toBeLessThan(LIMIT * 1.2);
  store.append("ses_1", [finished()]);
  expect(store.getSession("ses_1")?.state).toBe(Session_State.SUCCEEDED);
});

test("what was left out is not asked for again by the next host, and the limit still holds", () => {
  using store = SqliteStore.open(":memory:", { maxLiveBytes: 0 });
  store.createSession("ses_1", NEW);
  expect(store.append("ses_1", [said("a", 1), said("b", 2)]).map(({ event }) => event.case)).toEqual([
    "outputTruncated",
  ]);
  expect(store.append("ses_1", [said("c", 3)])).toEqual([]);
  expect(store.lastAgentSequence("ses_1")).toBe(3);
});
