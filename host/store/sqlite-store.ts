import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AppError,
  cutListed,
  emptySession,
  hasUntakenChanges,
  type Session,
  type SessionEvent,
  SessionEventSchema,
  Session_State,
  SessionSchema,
  type TakenChanges,
  TakenChangesSchema,
} from "../../proto/index.ts";
import { repositoryOf } from "../repository-of.ts";
import { ArtifactFiles } from "./artifact-files.ts";
import { DiffTable } from "./diff-table.ts";
import { LeftTables } from "./left-tables.ts";
import { type Batch, LiveSession } from "./live-session.ts";
import { Removal } from "./removal.ts";
import { RequestTable } from "./request-table.ts";
import {
  type DiffPlace,
  type ListFilter,
  type NewEvent,
  type NewSession,
  type Pruned,
  RETENTION,
  type SessionStore,
} from "./session-store.ts";
import { prepareStatements } from "./session-statements.ts";
import { StoreFile } from "./store-file.ts";
import { UsageTable } from "./usage-table.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** A page of events that a reader gets stays about below this, however large they are. */
const READ_BYTES = 128 * 1024;
/** The newest events of a session stay in memory for once to twice as long after the last one (ms). */
const REST_MS = 10_000;

/** Limits for what a store keeps. */
export interface SqliteStoreOptions {
  /** Time that finished sessions are kept (ms). Default: RETENTION, here and below. */
  maxAgeMs?: number;
  /** Most bytes of all that is stored. Above it the oldest finished sessions are removed. */
  maxBytes?: number;
  /** Most bytes of one live session's events. Above it only its course is kept. */
  maxLiveBytes?: number;
}

/** Store in one SQLite file, or in memory with the path ":memory:". */
export class SqliteStore implements SessionStore {
  readonly usage: UsageTable;
  readonly requests: RequestTable;
  readonly left: LeftTables;
  readonly #file: StoreFile;
  readonly #files: ArtifactFiles;
  readonly #limits: { maxAgeMs: number; maxBytes: number; maxLiveBytes: number };
  readonly #live = new Map<string, LiveSession>();
  /** Those with events in memory, and of these the ones that were written to lately. */
  readonly #awake = new Set<LiveSession>();
  readonly #written = new Set<LiveSession>();
  #resting: NodeJS.Timeout | undefined;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #diffs: DiffTable;
  readonly #removal: Removal;
  readonly #listeners = new Set<(sessionId: string, state: Session_State | undefined) => void>();
  readonly #storedListeners = new Set<(sessionId: string, events: readonly NewEvent[]) => void>();

  private constructor(file: StoreFile, files: ArtifactFiles, options: SqliteStoreOptions) {
    const { maxAgeMs = RETENTION.days * DAY_MS, maxBytes, maxLiveBytes } = { ...RETENTION, ...options };
    this.#limits = { maxAgeMs, maxBytes, maxLiveBytes };
    this.#file = file;
    this.#files = files;
    this.#statements = prepareStatements(this.#file.database);
    this.#diffs = new DiffTable(this.#file.database);
    this.#removal = new Removal(this.#file, this.#files, (sessionId) => this.#tellChanged(sessionId, undefined));
    this.usage = new UsageTable(this.#file);
    this.requests = new RequestTable(this.#file);
    this.left = new LeftTables(this.#file, this.#files);
  }

  /** Opens the store, and makes it if there is none. Throws what StoreFile throws. */
  static open(path: string, options: SqliteStoreOptions = {}): SqliteStore {
    const files = ArtifactFiles.open(path);
    const store = new SqliteStore(StoreFile.open(path, files), files, options);
    store.left.sweep();
    return store;
  }

  createSession(sessionId: string, { requestId, container, userFiles, events }: NewSession): void {
    if (requestId !== undefined && this.findByRequest(requestId) !== undefined) {
      throw new AppError("REQUEST_ID_TAKEN", `There is a session of the request id "${requestId}".`, {
        help: "Use another id.",
      });
    }
    const problem = this.findProblem();
    if (problem !== undefined) throw problem;
    const snapshot = toBinary(SessionSchema, emptySession(sessionId));
    const live = new LiveSession({
      snapshot,
      lastSequence: 0,
      lastAgentSequence: 0,
      storedBytes: 0,
      leftOutBytes: undefined,
    });
    const batch = live.plan(events, this.#limits.maxLiveBytes);
    const bytes = userFiles?.length ?? 0;
    this.#file.write({ failed: `Session ${sessionId} could not be stored.`, bytes }, () => {
      this.#statements.insertSession.run(sessionId, snapshot, requestId ?? null, container);
      if (userFiles !== undefined) this.#statements.putUserFiles.run(sessionId, userFiles);
      this.#insert(sessionId, batch);
    });
    live.commit(batch);
    if (batch.endTimeMs === undefined) {
      this.#live.set(sessionId, live);
      this.#noteWritten(live);
    }
    this.#tellChanged(sessionId, batch.session?.state ?? Session_State.QUEUED);
    for (const tell of this.#storedListeners) tell(sessionId, events);
  }

  onChanged(listener: (sessionId: string, state: Session_State | undefined) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  onStored(listener: (sessionId: string, events: readonly NewEvent[]) => void): Disposable {
    this.#storedListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#storedListeners.delete(listener) };
  }

  usedBytes(): number {
    return this.#removal.usedBytes();
  }

  findProblem(): AppError | undefined {
    return this.#file.findProblem();
  }

  findByRequest(requestId: string): string | undefined {
    return this.#get("findByRequest", requestId)?.["id"] as string | undefined;
  }

  getContainer(sessionId: string): string | undefined {
    return this.#get("getContainer", sessionId)?.["container"] as string | undefined;
  }

  getUserFiles(sessionId: string): Uint8Array | undefined {
    return this.#get("getUserFiles", sessionId)?.["data"] as Uint8Array | undefined;
  }

  putContainerRef(sessionId: string, containerRef: string): void {
    this.#file.write({ failed: `The container of ${sessionId} could not be stored.` }, () => {
      this.#statements.putContainerRef.run(containerRef, sessionId);
    });
  }

  getContainerRef(sessionId: string): string | undefined {
    return (this.#get("getContainer", sessionId)?.["container_ref"] ?? undefined) as string | undefined;
  }

  liveSessionIds(): string[] {
    return this.#file.read(() => this.#statements.listLive.all().map(({ id }) => id as string));
  }

  liveContainerRefs(): string[] {
    return this.#file.read(() => this.#statements.listLiveRefs.all().map(({ container_ref: ref }) => ref as string));
  }

  append(sessionId: string, events: NewEvent[]): SessionEvent[] {
    if (events.length === 0) return [];
    const live = this.#require(sessionId);
    const batch = live.plan(events, this.#limits.maxLiveBytes);
    const bytes = batch.entries.reduce((sum, { data }) => sum + data.length, 0);
    this.#file.write({ failed: `Events of ${sessionId} could not be stored.`, bytes }, () =>
      this.#insert(sessionId, batch),
    );
    live.commit(batch);
    if (batch.endTimeMs === undefined) this.#noteWritten(live);
    else this.#forget(sessionId, live);
    if (batch.session !== undefined) this.#tellChanged(sessionId, batch.session.state);
    for (const tell of this.#storedListeners) tell(sessionId, events);
    return batch.entries.map(({ entry }) => entry);
  }

  read(sessionId: string, { afterSequence, limit }: { afterSequence: number; limit: number }): SessionEvent[] {
    const newest = this.#live.get(sessionId)?.newest({ afterSequence, limit });
    if (newest !== undefined) return newest;
    return this.#file.read(() => {
      const events: SessionEvent[] = [];
      let bytes = 0;
      for (const row of this.#statements.readEvents.iterate(sessionId, afterSequence, sessionId, limit)) {
        const data = (row as { data: Uint8Array }).data;
        bytes += data.length;
        if (bytes > READ_BYTES && events.length > 0) break;
        events.push(fromBinary(SessionEventSchema, data));
      }
      return events;
    });
  }

  listDiffs(sessionId: string): DiffPlace[] {
    return this.#file.read(() => this.#diffs.ofSession(sessionId));
  }

  changed(sessionId: string, options: { afterSequence: number }): Promise<boolean> {
    return this.#find(sessionId)?.changed(options) ?? Promise.resolve(false);
  }

  wake(sessionId: string): void {
    this.#live.get(sessionId)?.wake();
  }

  getSession(sessionId: string): Session | undefined {
    const live = this.#live.get(sessionId);
    if (live !== undefined) return live.session;
    const row = this.#get("getSession", sessionId);
    return row === undefined ? undefined : this.#readSession(row);
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
    const sql = `SELECT id, snapshot, end_time_ms, taken FROM session WHERE ${where.join(" AND ")} ORDER BY id DESC LIMIT ?`;
    return this.#file.read(() => {
      const rows = this.#file.database.prepare(sql).all(...values, limit);
      return rows.map((row) => cutListed(this.#readSession(row)));
    });
  }

  markTaken(sessionId: string, taken: TakenChanges | undefined): void {
    const session = this.getSession(sessionId);
    if (session === undefined) return;
    if (taken === undefined) delete session.taken;
    else session.taken = taken;
    const bytes = taken === undefined ? null : toBinary(TakenChangesSchema, taken);
    this.#file.write({ failed: `What became of the changes of ${sessionId} could not be stored.` }, () => {
      this.#statements.markTaken.run(bytes, Number(hasUntakenChanges(session)), sessionId);
    });
    this.#tellChanged(sessionId, session.state);
  }

  deleteSession(sessionId: string): Promise<void> {
    this.#removal.forget(sessionId);
    return this.#removal.clear();
  }

  async prune({ nowMs }: { nowMs: number }): Promise<Pruned> {
    const { maxAgeMs, maxBytes } = this.#limits;
    this.usage.prune({ nowMs });
    return this.#removal.prune({ endedBeforeMs: nowMs - maxAgeMs, maxBytes });
  }

  largestUntaken({ limit }: { limit: number }): { sessionId: string; bytes: number }[] {
    const rows = this.#file.read(() => this.#statements.largestUntaken.all(limit));
    return rows.map(({ id, bytes }) => ({ sessionId: id as string, bytes: Number(bytes) }));
  }

  lastAgentSequence(sessionId: string): number {
    return this.#require(sessionId).known.lastAgentSequence;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#resting);
    this.#file[Symbol.dispose]();
    this.#files[Symbol.dispose]();
  }

  #noteWritten(live: LiveSession): void {
    this.#awake.add(live);
    this.#written.add(live);
    this.#resting ??= setTimeout(() => this.#rest(), REST_MS).unref();
  }

  #forget(sessionId: string, live: LiveSession): void {
    this.#live.delete(sessionId);
    this.#awake.delete(live);
    this.#written.delete(live);
  }

  /** Lets sessions rest that were not written to since the last time. */
  #rest(): void {
    for (const live of this.#awake) {
      if (this.#written.has(live)) continue;
      live.rest();
      this.#awake.delete(live);
    }
    this.#written.clear();
    this.#resting = this.#awake.size === 0 ? undefined : setTimeout(() => this.#rest(), REST_MS).unref();
  }

  #tellChanged(sessionId: string, state: Session_State | undefined): void {
    for (const listener of this.#listeners) listener(sessionId, state);
  }

  #insert(sessionId: string, { entries, after, session, endTimeMs }: Batch): void {
    for (const { entry, data, agentSequence } of entries) {
      this.#statements.insertEvent.run(sessionId, entry.sequence, agentSequence ?? null, data);
      this.#diffs.note(sessionId, entry);
    }
    if (session === undefined) return;
    this.#statements.updateSession.run(
      after.snapshot,
      after.lastAgentSequence,
      session.state,
      session.parent,
      repositoryOf(session.spec ?? {}),
      session.caller,
      sessionId,
    );
    if (endTimeMs === undefined) return;
    this.#statements.endSession.run(endTimeMs, Number(hasUntakenChanges(session)), sessionId);
  }

  #get(statement: Exclude<keyof ReturnType<typeof prepareStatements>, "readEvents">, key: string) {
    return this.#file.read(() => this.#statements[statement].get(key));
  }

  /** A live session, also one that another process has begun; undefined if it is over or there is none. */
  #find(sessionId: string): LiveSession | undefined {
    const found = this.#live.get(sessionId);
    if (found !== undefined) return found;
    const row = this.#get("getSession", sessionId);
    if (row === undefined || row["end_time_ms"] !== null) return undefined;
    const live = this.#file.read(() => {
      const { bytes } = this.#statements.countBytes.get(sessionId)!;
      const newest = this.#statements.newestOfAgent.get(sessionId)?.["agent_sequence"] ?? 0;
      return new LiveSession({
        snapshot: row["snapshot"] as Uint8Array,
        lastSequence: this.#lastSequence(sessionId),
        lastAgentSequence: Math.max(Number(row["last_agent_sequence"]), Number(newest)),
        storedBytes: Number(bytes),
        leftOutBytes: undefined,
      });
    });
    this.#live.set(sessionId, live);
    return live;
  }

  /** The session of a row. That of a live one is written only where an event changes it: its number lags behind. */
  #readSession(row: Record<string, unknown>): Session {
    const session = fromBinary(SessionSchema, row["snapshot"] as Uint8Array);
    if (row["taken"] !== null) session.taken = fromBinary(TakenChangesSchema, row["taken"] as Uint8Array);
    if (row["end_time_ms"] === null) session.lastSequence = this.#lastSequence(session.id);
    return session;
  }

  #lastSequence(sessionId: string): number {
    const live = this.#live.get(sessionId);
    return live?.known.lastSequence ?? Number(this.#get("newestEvent", sessionId)?.["sequence"] ?? 0);
  }

  #require(sessionId: string): LiveSession {
    const live = this.#find(sessionId);
    if (live !== undefined) return live;
    throw new AppError("SESSION_NOT_LIVE", `Session ${sessionId} is over.`, {
      metadata: { session_id: sessionId },
    });
  }
}
