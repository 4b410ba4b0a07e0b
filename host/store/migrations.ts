import type { DatabaseSync } from "node:sqlite";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  AppError,
  Artifact_Kind,
  emptySession,
  foldEvent,
  hasUntakenChanges,
  isFinal,
  SessionEventSchema,
  SessionSchema,
} from "../../proto/index.ts";
import { repositoryOf } from "../repository-of.ts";
import { DiffTable } from "./diff-table.ts";
import type { ArtifactFiles } from "./artifact-files.ts";

type Migration = string | ((database: DatabaseSync, files: ArtifactFiles) => void);

/** Each one leads to the next version. Never change one that was released. */
const MIGRATIONS: Migration[] = [
  `CREATE TABLE session (
     id TEXT PRIMARY KEY,
     snapshot BLOB NOT NULL,
     last_agent_sequence INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE TABLE event (
     session_id TEXT NOT NULL,
     sequence INTEGER NOT NULL,
     agent_sequence INTEGER,
     data BLOB NOT NULL,
     PRIMARY KEY (session_id, sequence)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE result (
     session_id TEXT PRIMARY KEY,
     result BLOB NOT NULL,
     patch BLOB NOT NULL
   ) STRICT;`,
  `ALTER TABLE session ADD COLUMN state INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE session ADD COLUMN parent TEXT NOT NULL DEFAULT '';`,
  forRestart,
  // Sessions whose rows are still to be removed.
  `CREATE TABLE removed (session_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;`,
  // What callers said and the agent is not known to have.
  `CREATE TABLE request (
     number INTEGER PRIMARY KEY,
     session_id TEXT NOT NULL,
     name TEXT NOT NULL,
     data BLOB NOT NULL,
     UNIQUE (session_id, name)
   ) STRICT;
   ALTER TABLE result ADD COLUMN transcript BLOB NOT NULL DEFAULT x'';`,
  // What sessions used of the model, by day. Outlives them: deleting one gives no budget back.
  `CREATE TABLE model_usage (
     day TEXT NOT NULL,
     session_id TEXT NOT NULL,
     request_count INTEGER NOT NULL,
     input_token_count INTEGER NOT NULL,
     output_token_count INTEGER NOT NULL,
     cache_write_token_count INTEGER NOT NULL,
     cache_read_token_count INTEGER NOT NULL,
     cost_usd REAL NOT NULL,
     PRIMARY KEY (day, session_id)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX model_usage_by_session ON model_usage (session_id);`,
  moveArtifacts,
  indexDiffs,
  keepUntaken,
  // Files of users' own set-ups, which sessions start with.
  `CREATE TABLE user_files (session_id TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT;`,
  reportUsage,
];

/** What a restarted host needs of the sessions that have not finished: no end_time_ms. */
function forRestart(database: DatabaseSync): void {
  database.exec(
    `ALTER TABLE session ADD COLUMN request_id TEXT;
     ALTER TABLE session ADD COLUMN container TEXT NOT NULL DEFAULT '{}';
     ALTER TABLE session ADD COLUMN container_ref TEXT;
     ALTER TABLE session ADD COLUMN end_time_ms INTEGER;
     CREATE UNIQUE INDEX session_by_request ON session (request_id) WHERE request_id IS NOT NULL;
     CREATE INDEX session_by_end ON session (end_time_ms, id);`,
  );
  // Rows from before the columns existed have only their defaults.
  const update = database.prepare("UPDATE session SET state = ?, parent = ?, end_time_ms = ? WHERE id = ?");
  for (const { id, snapshot } of database.prepare("SELECT id, snapshot FROM session").all()) {
    const session = fromBinary(SessionSchema, snapshot as Uint8Array);
    const endTimeMs = session.endTime === undefined ? Date.now() : timestampMs(session.endTime);
    update.run(session.state, session.parent, isFinal(session.state) ? endTimeMs : null, id!);
  }
}

/** Patches and transcripts go from the table of results into files, and are counted there. */
function moveArtifacts(database: DatabaseSync, files: ArtifactFiles): void {
  database.exec(
    `CREATE TABLE artifact (
       session_id TEXT NOT NULL,
       kind INTEGER NOT NULL,
       size_bytes INTEGER NOT NULL,
       sha256 BLOB NOT NULL,
       PRIMARY KEY (session_id, kind)
     ) STRICT, WITHOUT ROWID;`,
  );
  const insert = database.prepare("INSERT INTO artifact (session_id, kind, size_bytes, sha256) VALUES (?, ?, ?, ?)");
  for (const row of database.prepare("SELECT session_id, patch, transcript FROM result").iterate()) {
    const sessionId = row["session_id"] as string;
    const move = (kind: Artifact_Kind.PATCH | Artifact_Kind.TRANSCRIPT, bytes: Uint8Array) =>
      insert.run(sessionId, kind, bytes.length, files.writeNow({ sessionId, kind }, bytes));
    move(Artifact_Kind.PATCH, row["patch"] as Uint8Array);
    move(Artifact_Kind.TRANSCRIPT, row["transcript"] as Uint8Array);
  }
  files.sync();
  // Dropping columns would write what is left of each row anew, and these first.
  database.exec(
    `CREATE TABLE kept_result (session_id TEXT PRIMARY KEY, result BLOB NOT NULL) STRICT;
     INSERT INTO kept_result SELECT session_id, result FROM result;
     DROP TABLE result;
     ALTER TABLE kept_result RENAME TO result;`,
  );
}

/** The newest diffs of live sessions are found without their logs, which are read for it once. So are their snapshots whole. */
function indexDiffs(database: DatabaseSync): void {
  // The first and last event of the newest diff that came whole, the first and the parts so far of the one that comes.
  database.exec(
    `CREATE TABLE diff (
       session_id TEXT NOT NULL,
       path TEXT NOT NULL,
       first INTEGER,
       last INTEGER,
       next_first INTEGER NOT NULL,
       next_count INTEGER NOT NULL,
       PRIMARY KEY (session_id, path)
     ) STRICT, WITHOUT ROWID;`,
  );
  const diffs = new DiffTable(database);
  const events = database.prepare("SELECT data FROM event WHERE session_id = ? ORDER BY sequence");
  const update = database.prepare("UPDATE session SET snapshot = ? WHERE id = ?");
  for (const { id } of database.prepare("SELECT id FROM session WHERE end_time_ms IS NULL").all()) {
    const session = emptySession(id as string);
    for (const { data } of events.iterate(id as string)) {
      const event = fromBinary(SessionEventSchema, data as Uint8Array);
      diffs.note(session.id, event);
      foldEvent(session, event);
    }
    if (session.lastSequence > 0) update.run(toBinary(SessionSchema, session), session.id);
  }
}

/** Sessions with changes are kept until somebody has taken these; of older ones nobody knows. */
function keepUntaken(database: DatabaseSync): void {
  database.exec(
    `ALTER TABLE session ADD COLUMN taken BLOB;
     ALTER TABLE session ADD COLUMN untaken INTEGER NOT NULL DEFAULT 0;
     CREATE INDEX session_by_removal ON session (untaken, end_time_ms, id);`,
  );
  const update = database.prepare("UPDATE session SET untaken = 1 WHERE id = ?");
  for (const { id, snapshot } of database.prepare("SELECT id, snapshot FROM session").iterate()) {
    if (hasUntakenChanges(fromBinary(SessionSchema, snapshot as Uint8Array))) update.run(id!);
  }
}

/** What was used is told apart by model, and by what sessions were, also once they are removed. */
function reportUsage(database: DatabaseSync): void {
  database.exec(
    `CREATE TABLE usage_by_model (
       day TEXT NOT NULL,
       session_id TEXT NOT NULL,
       model TEXT NOT NULL,
       request_count INTEGER NOT NULL,
       input_token_count INTEGER NOT NULL,
       output_token_count INTEGER NOT NULL,
       cache_write_token_count INTEGER NOT NULL,
       cache_read_token_count INTEGER NOT NULL,
       cost_usd REAL NOT NULL,
       PRIMARY KEY (day, session_id, model)
     ) STRICT, WITHOUT ROWID;
     INSERT INTO usage_by_model SELECT day, session_id, '', request_count, input_token_count, output_token_count,
       cache_write_token_count, cache_read_token_count, cost_usd FROM model_usage;
     DROP TABLE model_usage;
     ALTER TABLE usage_by_model RENAME TO model_usage;
     CREATE INDEX model_usage_by_session ON model_usage (session_id);
     ALTER TABLE session ADD COLUMN repository TEXT NOT NULL DEFAULT '';
     ALTER TABLE session ADD COLUMN caller TEXT NOT NULL DEFAULT '';
     CREATE TABLE past_session (
       id TEXT PRIMARY KEY,
       repository TEXT NOT NULL,
       state INTEGER NOT NULL,
       caller TEXT NOT NULL
     ) STRICT, WITHOUT ROWID;`,
  );
  const update = database.prepare("UPDATE session SET repository = ?, caller = ? WHERE id = ?");
  for (const { id, snapshot } of database.prepare("SELECT id, snapshot FROM session").all()) {
    const session = fromBinary(SessionSchema, snapshot as Uint8Array);
    update.run(repositoryOf(session.spec ?? {}), session.caller, id!);
  }
}

/** Migrates a file to the newest version, in one transaction. Throws STORE_TOO_NEW for a later one. Close it after a throw. */
export function migrate(database: DatabaseSync, { path, files }: { path: string; files: ArtifactFiles }): void {
  database.exec("BEGIN IMMEDIATE");
  const version = Number(database.prepare("PRAGMA user_version").get()!["user_version"]);
  if (version > MIGRATIONS.length) {
    throw new AppError("STORE_TOO_NEW", `${path} was written by a newer ClaudeCluster.`, {
      help: "Update ClaudeCluster, or set CLAUDECLUSTER_STATE_DIR to another directory.",
      metadata: { path },
    });
  }
  for (const migration of MIGRATIONS.slice(version)) {
    if (typeof migration === "string") database.exec(migration);
    else migration(database, files);
  }
  database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  database.exec("COMMIT");
}
