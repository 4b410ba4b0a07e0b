import { mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { Artifact_Kind, SessionResultSchema, SessionSchema, Session_State } from "../../proto/index.ts";
import { ArtifactFiles } from "./artifact-files.ts";
import { readWhole, temporaryStore } from "./fixtures.ts";
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
  using files = ArtifactFiles.open(":memory:");
  migrate(database, { path: "x", files });
  expect(database.prepare("SELECT id, state, parent, end_time_ms, request_id, container FROM session").all()).toEqual([
    { id: "ses_1", state: Session_State.FAILED, parent: "p", end_time_ms: 5000, request_id: null, container: "{}" },
    { id: "ses_2", state: Session_State.RUNNING, parent: "", end_time_ms: null, request_id: null, container: "{}" },
  ]);
  // Again is fine.
  migrate(database, { path: "x", files });
});

test("patches and transcripts of a file from before artifacts are in files of their own, and readable", async () => {
  using place = temporaryStore();
  mkdirSync(dirname(place.path));
  {
    using database = new DatabaseSync(place.path);
    database.exec(FIRST);
    const result = toBinary(SessionResultSchema, create(SessionResultSchema, { finalText: "done" }));
    const snapshot = toBinary(SessionSchema, create(SessionSchema, { id: "x", state: Session_State.SUCCEEDED }));
    for (const [id, patch] of [
      ["ses_1", Buffer.alloc(1_000_003, "patch")],
      ["ses_2", Buffer.alloc(0)],
    ] as const) {
      database.prepare("INSERT INTO session (id, snapshot) VALUES (?, ?)").run(id, snapshot);
      database.prepare("INSERT INTO result (session_id, result, patch) VALUES (?, ?, ?)").run(id, result, patch);
    }
  }
  using store = new SqliteStore(place.path);
  expect(store.getResult("ses_1")?.finalText).toBe("done");
  const patch = store.getArtifact("ses_1", Artifact_Kind.PATCH)!;
  expect((await readWhole(patch)).equals(Buffer.alloc(1_000_003, "patch"))).toBe(true);
  expect(store.getArtifact("ses_2", Artifact_Kind.PATCH)?.artifact.sizeBytes).toBe(0n);
  const directory = join(dirname(place.path), "artifacts");
  expect(readdirSync(directory)).toEqual(["ses_1.patch"]);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, "ses_1.patch")).mode & 0o777).toBe(0o600);
});
