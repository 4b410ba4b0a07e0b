import type {
  AppError,
  Artifact,
  ArtifactKind,
  EventBody,
  MeteredUsage,
  ReadableArtifact,
  Session,
  SessionEvent,
  SessionResult,
  Session_State,
} from "../../proto/index.ts";

/** What is kept unless the host is set to another: finished sessions, all sessions together, the events of a live one. */
export const RETENTION = { days: 30, maxBytes: 2 * 1024 ** 3, maxLiveBytes: 512 * 1024 ** 2 };

/** An event to be stored: the host's own, or one of the agent's with the agent's number. */
export interface NewEvent {
  event: EventBody;
  occurTimeMs: number;
  /** The agent's number of it; undefined for the host's own. */
  agentSequence?: number;
}

/** What a new session's log starts with, and what a restarted host needs of it. */
export interface NewSession {
  /** Whoever asks with the same id again means this session. */
  requestId?: string | undefined;
  /** What its container is made from, as JSON. The store does not look into it. */
  container: string;
  /** Stored with the session or not at all. */
  events: NewEvent[];
}

/** Artifact on its way into a file of the store. Disposing of it removes what has come, unless it is complete. */
export interface IncomingArtifact extends AsyncDisposable {
  /** How many bytes have come. */
  readonly sizeBytes: number;
  /** Stores the next bytes. Throws PATCH_TOO_LARGE, TRANSCRIPT_TOO_LARGE, ARTIFACT_INVALID, STORE_FAILED (retryable: there is no room). */
  append(data: Uint8Array): Promise<void>;
  /**
   * Resolves once all is on the disk. It counts from LeftStore.put on; until then the next host removes it. Throws
   * ARTIFACT_INVALID where it is not what was announced, STORE_FAILED.
   */
  complete(): Promise<ReadableArtifact>;
}

/** What a session left, whole. */
export interface SessionLeft {
  result: SessionResult;
  /** At most one of each kind. */
  artifacts: readonly ReadableArtifact[];
}

/** Where the newest diff of a file is in a session's log: in the filePatched events of its path between two numbers. */
export interface DiffPlace {
  path: string;
  firstSequence: number;
  lastSequence: number;
}

/** Which sessions a list is to hold. */
export interface ListFilter {
  /** Empty: all. */
  states: readonly Session_State[];
  /** Undefined: all. */
  parent: string | undefined;
  /** Only sessions older than this one. */
  beforeId: string | undefined;
  limit: number;
}

/** What was removed for want of time or room. */
export interface Pruned {
  sessionIds: string[];
  freedBytes: number;
}

/** What sessions have used of the model. It outlives a session by some weeks. */
export interface UsageStore {
  /** Adds to what a session used on a day (UTC, "2026-11-23"). */
  add(sessionId: string, day: string, usage: MeteredUsage): void;
  /** What a session has used. */
  ofSession(sessionId: string): MeteredUsage;
  /** What all sessions together used on a day. */
  ofDay(day: string): MeteredUsage;
}

/** Something that a caller said, as it is kept. */
export interface KeptRequest {
  name: string;
  data: Uint8Array;
}

/** What callers said to sessions, until it is known to have arrived. */
export interface RequestStore {
  /** Keeps a request. The first of a name is kept. */
  put(sessionId: string, name: string, data: Uint8Array): void;
  /** What was kept and not removed, oldest first. */
  list(sessionId: string): KeptRequest[];
  /** It has arrived. */
  remove(sessionId: string, name: string): void;
}

/** What sessions left. */
export interface LeftStore {
  /**
   * Begins an artifact of a session. Throws PATCH_TOO_LARGE, TRANSCRIPT_TOO_LARGE, ARTIFACT_INVALID for what is announced and cannot be,
   * STORE_FAILED (retryable) where there is no room for it.
   */
  createArtifact(sessionId: string, kind: ArtifactKind, announced?: Artifact): Promise<IncomingArtifact>;
  /** Keeps all that a session left. */
  put(sessionId: string, left: SessionLeft): void;
  /** The result of a session; undefined until what it left is kept. */
  getResult(sessionId: string): SessionResult | undefined;
  /**
   * An artifact that a session left; undefined if there is none, or until it is kept. Reading it throws STORE_CORRUPT where
   * its bytes are not there any more.
   */
  getArtifact(sessionId: string, kind: ArtifactKind): ReadableArtifact | undefined;
}

/**
 * What the host knows of its sessions: a numbered log for each, stored before anyone sees it, and
 * what is too large for an event. Readers are numbers. A session is live until its log holds
 * sessionFinished, whichever process wrote the rest of it.
 */
export interface SessionStore extends Disposable {
  readonly usage: UsageStore;
  readonly requests: RequestStore;
  readonly left: LeftStore;
  /** Makes the log of a new session. Throws REQUEST_ID_TAKEN if another one has its request id. */
  createSession(sessionId: string, session: NewSession): void;
  /** The session that was created with a request id, as long as it is stored. */
  findByRequest(requestId: string): string | undefined;
  /** What a session's container is made from, as it was given. */
  getContainer(sessionId: string): string | undefined;
  /** Keeps what names a session's container, as JSON. Replaces what was kept. */
  putContainerRef(sessionId: string, containerRef: string): void;
  /** What names a session's container; undefined until it was put. */
  getContainerRef(sessionId: string): string | undefined;
  /** What names the containers of all sessions that have not finished. */
  liveContainerRefs(): string[];
  /** Returns STORE_FAILED where there is no room to begin a session, although events may find some for a while. */
  findProblem(): AppError | undefined;
  /** The sessions that have not finished, oldest first. */
  liveSessionIds(): string[];
  /**
   * Stores events in one transaction and returns them numbered. An empty list is fine. Of a session
   * that has stored too much, what its agent says is left out but for its course: an outputTruncated
   * event says so. Throws SESSION_NOT_LIVE after the last event, STORE_FAILED (retryable: there is no
   * room), STORE_CORRUPT.
   */
  append(sessionId: string, events: NewEvent[]): SessionEvent[];
  /** Up to `limit` events after a number, oldest first; fewer if they are large. Empty: there is none. */
  read(sessionId: string, options: { afterSequence: number; limit: number }): SessionEvent[];
  /** Where the newest diffs are that came whole, of all files that differ from the start commit, in the order of their paths. */
  listDiffs(sessionId: string): DiffPlace[];
  /**
   * Resolves true when there are events after a number, or the session is woken; false if none will come because it is not
   * live. Never rejects.
   */
  changed(sessionId: string, options: { afterSequence: number }): Promise<boolean>;
  /** Has all look again who wait for a session's events: one of them may not want to wait any more. */
  wake(sessionId: string): void;
  /**
   * Calls the listener, once that is stored, for each session that is new or of which more has changed than its newest number,
   * with its state, and for each that was removed, with none. Dispose of it to end that.
   */
  onChanged(listener: (sessionId: string, state: Session_State | undefined) => void): Disposable;
  /** The fold of the log; undefined if there is no such session. The caller's own copy. */
  getSession(sessionId: string): Session | undefined;
  /** Newest first; results without their lists and texts. */
  listSessions(filter: ListFilter): Session[];
  /** Removes everything that is stored of a finished session. It is gone at once, its room a little later. */
  deleteSession(sessionId: string): Promise<void>;
  /**
   * Removes finished sessions that are too old, then the oldest ones until all that is stored fits
   * the size, and gives their room back to the disk. Never a live one.
   */
  prune(options: { nowMs: number }): Promise<Pruned>;
  /** The agent's number of the newest event that came from it; 0 if there is none. */
  lastAgentSequence(sessionId: string): number;
}
