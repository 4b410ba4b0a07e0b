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
import { migrate } from "./migrations.ts";
import type { ListFilter, NewEvent, NewSession, SessionStore } from "./session-store.ts";

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
  readonly #statements: ReturnType<typeof prepareStatements>;

  constructor(path: string) {
    if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    if (path !== ":memory:") chmodSync(path, 0o600);
    this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
    migrate(this.#database, path);
    this.#statements = prepareStatements(this.#database);
  }

  createSession(sessionId: string, { requestId, container, events }: NewSession): void {
    const live: Live = { session: emptySession(sessionId), lastAgentSequence: 0, waiters: new Set() };
    if (requestId !== undefined && this.findByRequest(requestId) !== undefined) {
      throw new AppError("REQUEST_ID_TAKEN", `There is a session of the request id "${requestId}".`, {
        kind: "FAILED_PRECONDITION",
        help: "Use another id.",
      });
    }
    this.#transaction(`Session ${sessionId} could not be stored.`, () => {
      const snapshot = toBinary(SessionSchema, live.session);
      this.#statements.insertSession.run(sessionId, snapshot, requestId ?? null, container);
      if (events.length > 0) this.#insert(sessionId, live, events);
    });
    this.#live.set(sessionId, live);
  }

  findByRequest(requestId: string): string | undefined {
    return this.#statements.findByRequest.get(requestId)?.["id"] as string | undefined;
  }

  getContainer(sessionId: string): string | undefined {
    return this.#statements.getContainer.get(sessionId)?.["container"] as string | undefined;
  }

  putContainerRef(sessionId: string, containerRef: string): void {
    this.#transaction(`The container of ${sessionId} could not be stored.`, () => {
      this.#statements.putContainerRef.run(containerRef, sessionId);
    });
  }

  getContainerRef(sessionId: string): string | undefined {
    return (this.#statements.getContainer.get(sessionId)?.["container_ref"] ?? undefined) as string | undefined;
  }

  liveSessionIds(): string[] {
    return this.#statements.listLive.all().map(({ id }) => id as string);
  }

  append(sessionId: string, events: NewEvent[]): SessionEvent[] {
    if (events.length === 0) return [];
    const live = this.#require(sessionId);
    // The fold changes only once the transaction has been stored.
    const next = { ...live, session: clone(SessionSchema, live.session) };
    const entries = this.#transaction(`Events of ${sessionId} could not be stored.`, () =>
      this.#insert(sessionId, next, events),
    );
    live.session = next.session;
    live.lastAgentSequence = next.lastAgentSequence;
    for (const wake of [...live.waiters]) wake();
    if (entries.some(({ event }) => event.case === "sessionFinished")) this.#live.delete(sessionId);
    return entries;
  }

  read(sessionId: string, options: { afterSequence: number; limit: number }): SessionEvent[] {
    const rows = this.#statements.readEvents.all(sessionId, options.afterSequence, options.limit);
    return rows.map((row) => fromBinary(SessionEventSchema, row["data"] as Uint8Array));
  }

  changed(sessionId: string, options: { afterSequence: number; signal: AbortSignal }): Promise<boolean> {
    const { signal } = options;
    const live = this.#find(sessionId);
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
    this.#transaction(`Session ${sessionId} could not be deleted.`, () => {
      for (const statement of this.#statements.delete) statement.run(sessionId);
    });
  }

  lastAgentSequence(sessionId: string): number {
    return this.#require(sessionId).lastAgentSequence;
  }

  putResult(sessionId: string, result: SessionResult, patch: Uint8Array): void {
    this.#transaction(`The result of ${sessionId} could not be stored.`, () => {
      this.#statements.putResult.run(sessionId, toBinary(SessionResultSchema, result), patch);
    });
  }

  getResult(sessionId: string): { result: SessionResult; patch: Uint8Array } | undefined {
    const row = this.#statements.getResult.get(sessionId);
    if (row === undefined) return undefined;
    return { result: fromBinary(SessionResultSchema, row["result"] as Uint8Array), patch: row["patch"] as Uint8Array };
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /** Numbers and stores events and folds them into `live`. */
  #insert(sessionId: string, live: Live, events: NewEvent[]): SessionEvent[] {
    const { session } = live;
    let endTimeMs: number | null = null;
    const entries = events.map(({ event, occurTimeMs, agentSequence }) => {
      const occurTime = timestampFromMs(occurTimeMs);
      const entry = create(SessionEventSchema, { sequence: session.lastSequence + 1, occurTime, event });
      const data = toBinary(SessionEventSchema, entry);
      this.#statements.insertEvent.run(sessionId, entry.sequence, agentSequence ?? null, data);
      foldEvent(session, entry);
      if (agentSequence !== undefined) live.lastAgentSequence = agentSequence;
      if (event.case === "sessionFinished") endTimeMs = occurTimeMs;
      return entry;
    });
    this.#statements.updateSession.run(
      toBinary(SessionSchema, session),
      live.lastAgentSequence,
      session.state,
      session.parent,
      endTimeMs,
      sessionId,
    );
    return entries;
  }

  /** Runs it whole or not at all. Throws STORE_FAILED. */
  #transaction<T>(failure: string, run: () => T): T {
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      const value = run();
      this.#database.exec("COMMIT");
      return value;
    } catch (error) {
      // On a full disk SQLite has rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw new AppError("STORE_FAILED", failure, {
        cause: error,
        help: "Look for a full disk or wrong permissions of the state directory.",
      });
    }
  }

  /** A live session, also one that another process has begun; undefined if it is over or there is none. */
  #find(sessionId: string): Live | undefined {
    const known = this.#live.get(sessionId);
    if (known !== undefined) return known;
    const row = this.#statements.getSession.get(sessionId);
    if (row === undefined || row["end_time_ms"] !== null) return undefined;
    const live: Live = {
      session: fromBinary(SessionSchema, row["snapshot"] as Uint8Array),
      lastAgentSequence: Number(row["last_agent_sequence"]),
      waiters: new Set(),
    };
    this.#live.set(sessionId, live);
    return live;
  }

  #require(sessionId: string): Live {
    const live = this.#find(sessionId);
    if (live !== undefined) return live;
    throw new AppError("SESSION_NOT_LIVE", `Session ${sessionId} is over.`, {
      kind: "FAILED_PRECONDITION",
      metadata: { session_id: sessionId },
    });
  }
}

function prepareStatements(database: DatabaseSync) {
  const prepare = (sql: string): StatementSync => database.prepare(sql);
  return {
    insertSession: prepare("INSERT INTO session (id, snapshot, request_id, container) VALUES (?, ?, ?, ?)"),
    updateSession: prepare(
      "UPDATE session SET snapshot = ?, last_agent_sequence = ?, state = ?, parent = ?, end_time_ms = ? WHERE id = ?",
    ),
    getSession: prepare("SELECT snapshot, last_agent_sequence, end_time_ms FROM session WHERE id = ?"),
    findByRequest: prepare("SELECT id FROM session WHERE request_id = ?"),
    getContainer: prepare("SELECT container, container_ref FROM session WHERE id = ?"),
    putContainerRef: prepare("UPDATE session SET container_ref = ? WHERE id = ?"),
    // Ids are ULIDs: their order is that of their creation.
    listLive: prepare("SELECT id FROM session WHERE end_time_ms IS NULL ORDER BY id"),
    insertEvent: prepare("INSERT INTO event (session_id, sequence, agent_sequence, data) VALUES (?, ?, ?, ?)"),
    readEvents: prepare("SELECT data FROM event WHERE session_id = ? AND sequence > ? ORDER BY sequence LIMIT ?"),
    putResult: prepare("INSERT OR REPLACE INTO result (session_id, result, patch) VALUES (?, ?, ?)"),
    getResult: prepare("SELECT result, patch FROM result WHERE session_id = ?"),
    delete: ["event WHERE session_id", "result WHERE session_id", "session WHERE id"].map((what) =>
      prepare(`DELETE FROM ${what} = ?`),
    ),
  };
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
