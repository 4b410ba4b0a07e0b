import { mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { UsageDimension } from "../../proto/control.ts";
import {
  Artifact_Kind,
  FileChangeSchema,
  FilePatchedSchema,
  RepositorySpecSchema,
  SessionResultSchema,
  SessionSchema,
  SessionSpecSchema,
  SessionStartedSchema,
  Session_State,
  WorkspaceReadySchema,
} from "../../proto/index.ts";
import { ArtifactFiles } from "./artifact-files.ts";
import { entered, finished, NEW, readWhole, temporaryStore } from "../../test/support/stored-sessions.ts";
import { migrate } from "./migrations.ts";
import type { NewEvent } from "./session-store.ts";
import { SqliteStore } from "./sqlite-store.ts";

/** The schema of 0.1.0. */
const FIRST = `
  CREATE TABLE session (id TEXT PRIMARY KEY, snapshot BLOB NOT NULL, last_agent_sequence INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE TABLE event (session_id TEXT NOT NULL, sequence INTEGER NOT NULL, agent_sequence INTEGER, data BLOB NOT NULL,
    PRIMARY KEY (session_id, sequence)) STRICT, WITHOUT ROWID;
  CREATE TABLE result (session_id TEXT PRIMARY KEY, result BLOB NOT NULL, patch BLOB NOT NULL) STRICT;
  PRAGMA user_version = 1;`;

test("a file that gave no room back does so from now on", () => {
  using place = temporaryStore();
  mkdirSync(dirname(place.path));
  const database = new DatabaseSync(place.path);
  database.exec(FIRST);
  database.close();
  SqliteStore.open(place.path)[Symbol.dispose]();
  using again = new DatabaseSync(place.path);
  expect(again.prepare("PRAGMA auto_vacuum").get()).toEqual({ auto_vacuum: 2 });
});

test("a file of the first version knows its sessions' states, parents and ends", () => {
  using database = new DatabaseSync(":memory:");
  database.exec(FIRST);
  const insert = database.prepare("INSERT INTO session (id, snapshot) VALUES (?, ?)");
  const snapshot = (value: Parameters<typeof create<typeof SessionSchema>>[1]) =>
    toBinary(SessionSchema, create(SessionSchema, value));
  insert.run("ses_1", snapshot({ state: Session_State.FAILED, parent: "p", endTime: timestampFromMs(5000) }));
  insert.run("ses_2", snapshot({ state: Session_State.RUNNING }));
  using files = ArtifactFiles.open(":memory:");
  migrate(database, { path: "x", files });
  expect(database.prepare("SELECT id, state, parent, end_time_ms, request_id, container FROM session").all()).toEqual([
    { id: "ses_1", state: Session_State.FAILED, parent: "p", end_time_ms: 5000, request_id: null, container: "{}" },
    { id: "ses_2", state: Session_State.RUNNING, parent: "", end_time_ms: null, request_id: null, container: "{}" },
  ]);
  // Again is fine.
  migrate(database, { path: "x", files });
});

/** Takes away what the eleventh version added. */
const TENTH = `
  DROP TABLE past_session;
  ALTER TABLE session DROP COLUMN repository;
  ALTER TABLE session DROP COLUMN caller;
  DROP TABLE model_usage;
  CREATE TABLE model_usage (day TEXT NOT NULL, session_id TEXT NOT NULL, request_count INTEGER NOT NULL,
    input_token_count INTEGER NOT NULL, output_token_count INTEGER NOT NULL, cache_write_token_count INTEGER NOT NULL,
    cache_read_token_count INTEGER NOT NULL, cost_usd REAL NOT NULL, PRIMARY KEY (day, session_id)) STRICT, WITHOUT ROWID;
  CREATE INDEX model_usage_by_session ON model_usage (session_id);`;
/** Takes away what the ninth version added, and what came after it. */
const NINTH = `${TENTH}
  DROP TABLE user_files;
  DROP INDEX session_by_removal;
  ALTER TABLE session DROP COLUMN taken;
  ALTER TABLE session DROP COLUMN untaken;`;
/** What the sixth version kept patches and transcripts in. */
const SIXTH = `${NINTH}
  DROP TABLE diff;
  DROP TABLE artifact;
  DROP TABLE result;
  CREATE TABLE result (session_id TEXT PRIMARY KEY, result BLOB NOT NULL, patch BLOB NOT NULL,
    transcript BLOB NOT NULL DEFAULT x'') STRICT;
  PRAGMA user_version = 6;`;

test("patches and transcripts of a file from before artifacts are in files of their own, and readable", async () => {
  using place = temporaryStore();
  {
    using store = SqliteStore.open(place.path);
    for (const id of ["ses_1", "ses_2"]) store.createSession(id, { ...NEW, events: [finished()] });
  }
  const bytes = Buffer.alloc(1_000_003, "patch");
  {
    using database = new DatabaseSync(place.path);
    database.exec(SIXTH);
    const result = toBinary(SessionResultSchema, create(SessionResultSchema, { finalText: "done" }));
    const insert = database.prepare("INSERT INTO result VALUES (?, ?, ?, ?)");
    insert.run("ses_1", result, bytes, Buffer.from("{}\n"));
    insert.run("ses_2", result, Buffer.alloc(0), Buffer.alloc(0));
  }
  for (const _start of ["first", "again"]) {
    using store = SqliteStore.open(place.path);
    expect(store.left.getResult("ses_1")?.finalText).toBe("done");
    expect((await readWhole(store.left.getArtifact("ses_1", Artifact_Kind.PATCH)!)).equals(bytes)).toBe(true);
    expect((await readWhole(store.left.getArtifact("ses_1", Artifact_Kind.TRANSCRIPT)!)).toString()).toBe("{}\n");
    expect(store.left.getArtifact("ses_2", Artifact_Kind.PATCH)?.artifact.sizeBytes).toBe(0n);
  }
  const directory = join(dirname(place.path), "artifacts");
  expect(readdirSync(directory).toSorted()).toEqual(["ses_1.patch", "ses_1.transcript"]);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, "ses_1.patch")).mode & 0o777).toBe(0o600);
});

test("the newest diffs of a live session from before their index are found, and its snapshot is whole", () => {
  using place = temporaryStore();
  const patched = (path: string): NewEvent => ({
    event: {
      case: "filePatched",
      value: create(FilePatchedSchema, { change: create(FileChangeSchema, { path }), partCount: 1 }),
    },
    occurTimeMs: 1000,
  });
  const ready = create(WorkspaceReadySchema, { baseCommitId: "c0ffee" });
  {
    using store = SqliteStore.open(place.path);
    for (const id of ["ses_1", "ses_2"]) {
      const events = [entered(Session_State.RUNNING), patched("a"), patched("b"), patched("a")];
      store.createSession(id, { ...NEW, events });
      store.append(id, [{ event: { case: "workspaceReady", value: ready }, occurTimeMs: 1000 }]);
    }
    store.append("ses_2", [finished()]);
  }
  {
    using database = new DatabaseSync(place.path);
    const bare = create(SessionSchema, { id: "ses_1", state: Session_State.RUNNING });
    database.prepare("UPDATE session SET snapshot = ? WHERE id = 'ses_1'").run(toBinary(SessionSchema, bare));
    database.exec(`${NINTH} DROP TABLE diff; PRAGMA user_version = 7;`);
  }
  using store = SqliteStore.open(place.path);
  expect(store.listDiffs("ses_1")).toEqual([
    { path: "a", firstSequence: 4, lastSequence: 4 },
    { path: "b", firstSequence: 3, lastSequence: 3 },
  ]);
  expect(store.listDiffs("ses_2")).toEqual([]);
  expect(store.getSession("ses_1")).toMatchObject({
    state: Session_State.RUNNING,
    lastSequence: 5,
    live: { baseCommitId: "c0ffee" },
  });
});

test("sessions with changes from before somebody could take them are kept, the others go as before", async () => {
  using place = temporaryStore();
  {
    using store = SqliteStore.open(place.path);
    store.createSession("ses_1", { ...NEW, events: [finished(1000, 2)] });
    store.createSession("ses_2", { ...NEW, events: [finished(1000)] });
  }
  {
    using database = new DatabaseSync(place.path);
    database.exec(`${NINTH} PRAGMA user_version = 8;`);
  }
  using store = SqliteStore.open(place.path, { maxAgeMs: 0 });
  expect((await store.prune({ nowMs: 9000 })).sessionIds).toEqual(["ses_2"]);
  expect(store.getSession("ses_1")?.taken).toBeUndefined();
});

test("usage from before it was told apart by model is kept, and reported by what its session was", () => {
  using place = temporaryStore();
  {
    using store = SqliteStore.open(place.path);
    const spec = create(SessionSpecSchema, {
      repository: create(RepositorySpecSchema, { uri: "https://example.com/a" }),
    });
    const value = create(SessionStartedSchema, { sessionId: "ses_1", spec, caller: "ci" });
    store.createSession("ses_1", { ...NEW, events: [{ event: { case: "sessionStarted", value }, occurTimeMs: 1 }] });
  }
  {
    using database = new DatabaseSync(place.path);
    database.exec(`${TENTH} PRAGMA user_version = 10;`);
    database.exec("INSERT INTO model_usage VALUES ('2026-11-23', 'ses_1', 3, 1, 2, 3, 4, 0.5)");
  }
  using store = SqliteStore.open(place.path);
  expect(store.usage.ofSession("ses_1")).toMatchObject({ requestCount: 3, costUsd: 0.5 });
  expect(
    store.usage.report({ by: [UsageDimension.REPOSITORY, UsageDimension.MODEL, UsageDimension.CALLER] }),
  ).toMatchObject([{ repository: "https://example.com/a", model: "", caller: "ci", usage: { requestCount: 3 } }]);
});
