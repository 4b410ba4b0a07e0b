import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Artifact_Kind, SessionResultSchema, TakenChanges_Kind, TakenChangesSchema } from "../../proto/index.ts";
import { finished, NEW, said, storeArtifact, temporaryStore } from "../../test/support/stored-sessions.ts";
import type { SessionStore } from "./session-store.ts";
import { SqliteStore } from "./sqlite-store.ts";

const MIB = 1024 * 1024;
let place: ReturnType<typeof temporaryStore>;
let path: string;
beforeEach(() => {
  place = temporaryStore();
  path = place.path;
});
afterEach(() => place[Symbol.dispose]());

/** A session of about 2 MiB, finished at a time or live. */
async function add(store: SessionStore, id: string, endTimeMs?: number, changeCount = 0): Promise<void> {
  store.createSession(id, { ...NEW, requestId: `request of ${id}` });
  for (let sequence = 0; sequence < 100; sequence++) store.append(id, [said("x".repeat(10_000))]);
  const bytes = Buffer.alloc(MIB);
  const patch = await storeArtifact(store, { sessionId: id, kind: Artifact_Kind.PATCH, bytes });
  store.left.put(id, { result: create(SessionResultSchema), artifacts: [patch] });
  if (endTimeMs !== undefined) store.append(id, [finished(endTimeMs, changeCount)]);
}

const ids = (store: SessionStore) =>
  store.listSessions({ states: [], parent: undefined, beforeId: undefined, limit: 99 }).map(({ id }) => id);

/** The size of the file once everything is in it, and of the artifacts beside it. */
async function fileBytes(): Promise<number> {
  const database = new DatabaseSync(path);
  const checkpoint = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)");
  // The store's own thread may be at it, and nobody is made to wait for that.
  await vi.waitFor(() => expect(checkpoint.get()).toMatchObject({ busy: 0 }), { timeout: 20_000 });
  database.close();
  const directory = join(dirname(path), "artifacts");
  const sizes = readdirSync(directory).map((name) => statSync(join(directory, name)).size);
  return sizes.reduce((sum, size) => sum + size, statSync(path).size);
}

test("removes what ended too long ago, and never a live session", async () => {
  using store = SqliteStore.open(path, { maxAgeMs: 1000 });
  await add(store, "ses_1", 5000);
  await add(store, "ses_2");
  await add(store, "ses_3", 4000);
  await add(store, "ses_4", 5001);
  const full = await fileBytes();
  const { sessionIds, freedBytes } = await store.prune({ nowMs: 6001 });
  expect(sessionIds).toEqual(["ses_3", "ses_1"]);
  expect(ids(store)).toEqual(["ses_4", "ses_2"]);
  expect(freedBytes).toBeGreaterThan(4 * MIB);
  expect(await fileBytes()).toBeLessThan(full - 4 * MIB);
  expect(store.read("ses_1", { afterSequence: 0, limit: 1 })).toEqual([]);
  expect(store.left.getResult("ses_1")).toBeUndefined();
  expect(store.findByRequest("request of ses_1")).toBeUndefined();
  expect(await store.prune({ nowMs: 6001 })).toEqual({ sessionIds: [], freedBytes: 0, excessBytes: 0 });
});

test("removes those that ended first until the rest fits, and never a live session", async () => {
  using store = SqliteStore.open(path, { maxBytes: 5 * MIB });
  await add(store, "ses_1");
  await add(store, "ses_2", 7000);
  await add(store, "ses_3", 6000);
  await add(store, "ses_4", 8000);
  expect((await store.prune({ nowMs: 9000 })).sessionIds).toEqual(["ses_3", "ses_2"]);
  expect(ids(store)).toEqual(["ses_4", "ses_1"]);
  expect(await fileBytes()).toBeLessThan(5 * MIB);
  await add(store, "ses_5");
  await add(store, "ses_6");
  expect((await store.prune({ nowMs: 9000 })).sessionIds).toEqual(["ses_4"]);
  expect(ids(store)).toEqual(["ses_6", "ses_5", "ses_1"]);
});

test("removes no session whose changes nobody has taken, however old or large, and says how much is too much", async () => {
  using store = SqliteStore.open(path, { maxAgeMs: 1000, maxBytes: 3 * MIB });
  await add(store, "ses_1", 1000, 1);
  await add(store, "ses_2", 2000, 3);
  await add(store, "ses_3", 3000);
  const { sessionIds, excessBytes } = await store.prune({ nowMs: 9000 });
  expect(sessionIds).toEqual(["ses_3"]);
  expect(excessBytes).toBeGreaterThan(MIB / 2);
  const largest = store.largestUntaken({ limit: 1 });
  expect(largest).toEqual([{ sessionId: expect.stringMatching(/^ses_[12]$/), bytes: expect.any(Number) }]);
  expect(largest[0]!.bytes).toBeGreaterThan(2_000_000);
  store.markTaken("ses_2", create(TakenChangesSchema, { kind: TakenChanges_Kind.BRANCH, place: "claude/x" }));
  expect(store.getSession("ses_2")?.taken?.place).toBe("claude/x");
  expect(await store.prune({ nowMs: 9000 })).toMatchObject({ sessionIds: ["ses_2"], excessBytes: 0 });
  store.markTaken("ses_1", create(TakenChangesSchema));
  store.markTaken("ses_1", undefined);
  expect((await store.prune({ nowMs: 9000 })).sessionIds).toEqual([]);
  await store.deleteSession("ses_1");
  expect(ids(store)).toEqual([]);
});

test("a session that is being removed is gone at once, and its room with the next host at the latest", async () => {
  {
    using store = SqliteStore.open(path);
    await add(store, "ses_1", 1000);
    await add(store, "ses_2", 1000);
    void store.deleteSession("ses_1");
    expect(ids(store)).toEqual(["ses_2"]);
    expect(store.getSession("ses_1")).toBeUndefined();
    expect(store.read("ses_1", { afterSequence: 0, limit: 1 })).toEqual([]);
  }
  const full = await fileBytes();
  expect(full).toBeGreaterThan(3 * MIB);
  using store = SqliteStore.open(path);
  await store.prune({ nowMs: 1000 });
  expect(ids(store)).toEqual(["ses_2"]);
  expect(await fileBytes()).toBeLessThan(full - MIB);
});

test("live sessions go on while others are removed", async () => {
  using store = SqliteStore.open(path, { maxAgeMs: 0 });
  store.createSession("ses_0", NEW);
  for (let index = 1; index <= 5; index++) await add(store, `ses_${index}`, 1000);
  let done = false;
  const pruning = store.prune({ nowMs: 2000 }).finally(() => (done = true));
  let count = 0;
  while (!done) {
    store.append("ses_0", [said("a")]);
    count++;
    await new Promise(setImmediate);
  }
  expect((await pruning).sessionIds).toHaveLength(5);
  expect(count).toBeGreaterThan(10);
  expect(store.read("ses_0", { afterSequence: 0, limit: count }).at(-1)?.sequence).toBe(count);
});
