import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { SessionSchema, Session_State } from "../../proto/index.ts";
import { temporaryStore } from "./fixtures.ts";
import { migrate } from "./migrations.ts";
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
  new SqliteStore(place.path)[Symbol.dispose]();
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
  migrate(database, "x");
  expect(database.prepare("SELECT id, state, parent, end_time_ms, request_id, container FROM session").all()).toEqual([
    { id: "ses_1", state: Session_State.FAILED, parent: "p", end_time_ms: 5000, request_id: null, container: "{}" },
    { id: "ses_2", state: Session_State.RUNNING, parent: "", end_time_ms: null, request_id: null, container: "{}" },
  ]);
  // Again is fine.
  migrate(database, "x");
});
