import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { clone, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  AppError,
  emptySession,
  foldEvent,
  type Session,
  type SessionEvent,
  SessionEventSchema,
  type SessionResult,
  SessionResultSchema,
  SessionSchema,
} from "../../proto/index.ts";
import type { ListFilter, NewEvent, SessionStore } from "./session-store.ts";

/** Each one leads to the next version. Never change one that was released. */
const MIGRATIONS = [
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
];

/** Another process may be writing to the same file. */
const BUSY_TIMEOUT_MS = 5000;

/** A live session's fold and those who wait for its next event. */
interface Live {
  session: Session;
  lastAgentSequence: number;
  waiters: Set<() => void>;
}

/** The store in one SQLite file (WAL), or in memory with the path ":memory:". */
export class SqliteStore implements SessionStore {
  readonly #database: DatabaseSync;
  readonly #live = new Map<string, Live>();
  readonly #statements: Record<
    "insertSession" | "updateSession" | "getSession" | "insertEvent" | "readEvents" | "putResult" | "getResult",
    StatementSync
  >;

  constructor(path: string) {
    if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    if (path !== ":memory:") chmodSync(path, 0o600);
    this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
    migrate(this.#database, path);
    const prepare = (sql: string) => this.#database.prepare(sql);
    this.#statements = {
      insertSession: prepare("INSERT INTO session (id, snapshot) VALUES (?, ?)"),
      updateSession: prepare(
        "UPDATE session SET snapshot = ?, last_agent_sequence = ?, state = ?, parent = ? WHERE id = ?",
      ),
      getSession: prepare("SELECT snapshot, last_agent_sequence FROM session WHERE id = ?"),
      insertEvent: prepare("INSERT INTO event (session_id, sequence, agent_sequence, data) VALUES (?, ?, ?, ?)"),
      readEvents: prepare("SELECT data FROM event WHERE session_id = ? AND sequence > ? ORDER BY sequence LIMIT ?"),
      putResult: prepare("INSERT OR REPLACE INTO result (session_id, result, patch) VALUES (?, ?, ?)"),
      getResult: prepare("SELECT result, patch FROM result WHERE session_id = ?"),
    };
  }

  createSession(sessionId: string): void {
    const session = emptySession(sessionId);
    this.#statements.insertSession.run(sessionId, toBinary(SessionSchema, session));
    this.#live.set(sessionId, { session, lastAgentSequence: 0, waiters: new Set() });
  }

  append(sessionId: string, events: NewEvent[]): SessionEvent[] {
    if (events.length === 0) return [];
    const live = this.#require(sessionId);
    // The fold changes only once the transaction has been stored.
    const session = clone(SessionSchema, live.session);
    let { lastAgentSequence } = live;
    const entries: SessionEvent[] = [];
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      for (const { event, occurTimeMs, agentSequence } of events) {
        const entry = create(SessionEventSchema, {
          sequence: session.lastSequence + 1,
          occurTime: timestampFromMs(occurTimeMs),
          event,
        });
        this.#statements.insertEvent.run(
          sessionId,
          entry.sequence,
          agentSequence ?? null,
          toBinary(SessionEventSchema, entry),
        );
        foldEvent(session, entry);
        if (agentSequence !== undefined) lastAgentSequence = agentSequence;
        entries.push(entry);
      }
      this.#statements.updateSession.run(
        toBinary(SessionSchema, session),
        lastAgentSequence,
        session.state,
        session.parent,
        sessionId,
      );
      this.#database.exec("COMMIT");
    } catch (error) {
      // On a full disk SQLite has rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw new AppError("STORE_FAILED", `Events of ${sessionId} could not be stored.`, {
        cause: error,
        help: "Look for a full disk or wrong permissions of the state directory.",
      });
    }
    live.session = session;
    live.lastAgentSequence = lastAgentSequence;
    for (const wake of [...live.waiters]) wake();
    if (entries.some(({ event }) => event.case === "sessionFinished")) this.#live.delete(sessionId);
    return entries;
  }

  read(sessionId: string, options: { afterSequence: number; limit: number }): SessionEvent[] {
    const rows = this.#statements.readEvents.all(sessionId, options.afterSequence, options.limit);
    return rows.map((row) => fromBinary(SessionEventSchema, row["data"] as Uint8Array));
  }

  changed(sessionId: string, options: { afterSequence: number; signal: AbortSignal }): Promise<boolean> {
    const live = this.#live.get(sessionId);
    const { signal } = options;
    if (live === undefined || signal.aborted) return Promise.resolve(false);
    if (live.session.lastSequence > options.afterSequence) return Promise.resolve(true);
    return new Promise((resolve) => {
      const wake = () => {
        live.waiters.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve(!signal.aborted);
      };
      live.waiters.add(wake);
      signal.addEventListener("abort", wake, { once: true });
    });
  }

  getSession(sessionId: string): Session | undefined {
    const live = this.#live.get(sessionId);
    if (live !== undefined) return clone(SessionSchema, live.session);
    const row = this.#statements.getSession.get(sessionId);
    return row === undefined ? undefined : fromBinary(SessionSchema, row["snapshot"] as Uint8Array);
  }

  listSessions({ states, parent, beforeId, limit }: ListFilter): Session[] {
    const where = ["TRUE"];
    const values: (string | number)[] = [];
    const add = (condition: string, ...given: (string | number)[]) => {
      where.push(condition);
      values.push(...given);
    };
    if (states.length > 0) add(`state IN (${states.map(() => "?").join(", ")})`, ...states);
    if (parent !== undefined) add("parent = ?", parent);
    // Ids are ULIDs: their order is that of their creation.
    if (beforeId !== undefined) add("id < ?", beforeId);
    const sql = `SELECT snapshot FROM session WHERE ${where.join(" AND ")} ORDER BY id DESC LIMIT ?`;
    const rows = this.#database.prepare(sql).all(...values, limit);
    return rows.map((row) => withoutLargeParts(fromBinary(SessionSchema, row["snapshot"] as Uint8Array)));
  }

  deleteSession(sessionId: string): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      for (const table of ["event", "result"]) {
        this.#database.prepare(`DELETE FROM ${table} WHERE session_id = ?`).run(sessionId);
      }
      this.#database.prepare("DELETE FROM session WHERE id = ?").run(sessionId);
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  lastAgentSequence(sessionId: string): number {
    return this.#require(sessionId).lastAgentSequence;
  }

  putResult(sessionId: string, result: SessionResult, patch: Uint8Array): void {
    this.#statements.putResult.run(sessionId, toBinary(SessionResultSchema, result), patch);
  }

  getResult(sessionId: string): { result: SessionResult; patch: Uint8Array } | undefined {
    const row = this.#statements.getResult.get(sessionId);
    if (row === undefined) return undefined;
    return { result: fromBinary(SessionResultSchema, row["result"] as Uint8Array), patch: row["patch"] as Uint8Array };
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #require(sessionId: string): Live {
    const live = this.#live.get(sessionId);
    if (live !== undefined) return live;
    throw new AppError("SESSION_NOT_LIVE", `Session ${sessionId} is over or belongs to another host.`, {
      kind: "FAILED_PRECONDITION",
      metadata: { session_id: sessionId },
    });
  }
}

function withoutLargeParts(session: Session): Session {
  if (session.result !== undefined) {
    session.result.changes = [];
    session.result.unreadablePaths = [];
    session.result.finalText = "";
    session.result.finalTextTruncated = true;
  }
  return session;
}

function migrate(database: DatabaseSync, path: string): void {
  database.exec("BEGIN IMMEDIATE");
  const version = Number(database.prepare("PRAGMA user_version").get()!["user_version"]);
  if (version > MIGRATIONS.length) {
    database.exec("ROLLBACK");
    throw new AppError("STORE_TOO_NEW", `${path} was written by a newer ClaudeCluster.`, {
      kind: "FAILED_PRECONDITION",
      help: "Update ClaudeCluster, or set CLAUDECLUSTER_STATE_DIR to another directory.",
      metadata: { path },
    });
  }
  for (const migration of MIGRATIONS.slice(version)) database.exec(migration);
  database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  database.exec("COMMIT");
}
