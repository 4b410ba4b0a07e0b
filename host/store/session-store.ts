import type { UsageDimension, UsageSum } from "../../proto/control.ts";
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
  TakenChanges,
} from "../../proto/index.ts";

/** Default limits for what is kept: finished sessions, all sessions together, the events of a live one. */
export const RETENTION = { days: 30, maxBytes: 2 * 1024 ** 3, maxLiveBytes: 512 * 1024 ** 2 };

/** Event to be stored: the host's own, or the agent's with its number there. */
export interface NewEvent {
  event: EventBody;
  occurTimeMs: number;
  /** Number in the agent's log. Undefined: the event is the host's own. */
  agentSequence?: number;
}

/** Start of a new session's log, and what a restarted host needs of it. */
export interface NewSession {
  /** Id of the request. Whoever asks with it again means this session. */
  requestId?: string | undefined;
  /** Shape of its container, as JSON that the store does not look into. */
  container: string;
  /** Files of the user's own set-up, which the store does not look into. Undefined: none. */
  userFiles?: Uint8Array | undefined;
  /** First events, stored with the session or not at all. */
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

/** Result and artifacts that a session left, whole. */
export interface SessionLeft {
  result: SessionResult;
  /** At most one of each kind. */
  artifacts: readonly ReadableArtifact[];
}

/** Place of a file's newest diff in a session's log: the filePatched events of its path between two numbers. */
export interface DiffPlace {
  path: string;
  firstSequence: number;
  lastSequence: number;
}

/** Filter and page of a list of sessions. */
export interface ListFilter {
  /** States of the sessions. Empty: all. */
  states: readonly Session_State[];
  /** Parent of the sessions. Undefined: any. */
  parent: string | undefined;
  /** Id of the session before the page: only older ones are listed. */
  beforeId: string | undefined;
  limit: number;
}

/** Sessions that were removed for want of time or room. */
export interface Pruned {
  sessionIds: string[];
  freedBytes: number;
  /** Bytes above the limit that stay, since all that could go has changes that nobody has taken, or is live. */
  excessBytes: number;
}

/** Usage that is asked for: that of some days, by what it is told apart. */
export interface UsageFilter {
  by: readonly UsageDimension[];
  /** First and last day (UTC, "2026-11-23"). Default: all that is known. */
  firstDay?: string;
  lastDay?: string;
}

/** Usage of the model by sessions. It outlives a session by some months. */
export interface UsageStore {
  /** Adds to what a session used of a model on a day (UTC, "2026-11-23"). Default: one that has no name. */
  add(sessionId: string, day: string, usage: MeteredUsage, model?: string): void;
  /** Returns the usage of a session. */
  ofSession(sessionId: string): MeteredUsage;
  /** Returns the usage of all sessions on a day. */
  ofDay(day: string): MeteredUsage;
  /** Returns sums of usage, also of sessions that were removed, in the order of what they are told apart by. */
  report(filter: UsageFilter): UsageSum[];
}

/** Request of a caller's, as it is kept. */
export interface KeptRequest {
  name: string;
  data: Uint8Array;
}

/** Requests of callers to sessions, until they are known to have arrived. */
export interface RequestStore {
  /** Keeps a request. The first of a name is kept. */
  put(sessionId: string, name: string, data: Uint8Array): void;
  /** Returns the requests that are kept, oldest first. */
  list(sessionId: string): KeptRequest[];
  /** Returns the names of the requests that are kept, oldest first. */
  names(sessionId: string): string[];
  /** Removes a request: it has arrived. */
  remove(sessionId: string, name: string): void;
}

/** Results and artifacts that sessions left. */
export interface LeftStore {
  /**
   * Begins an artifact of a session. Throws PATCH_TOO_LARGE, TRANSCRIPT_TOO_LARGE or ARTIFACT_INVALID for what is
   * announced and cannot be, STORE_FAILED (retryable) for want of room.
   */
  createArtifact(sessionId: string, kind: ArtifactKind, announced?: Artifact): Promise<IncomingArtifact>;
  /** Keeps all that a session left. */
  put(sessionId: string, left: SessionLeft): void;
  /** Returns the result of a session. Undefined until what it left is kept. */
  getResult(sessionId: string): SessionResult | undefined;
  /**
   * Returns an artifact that a session left. Undefined: there is none, or it is not kept yet. Reading it throws
   * STORE_CORRUPT if its bytes are gone.
   */
  getArtifact(sessionId: string, kind: ArtifactKind): ReadableArtifact | undefined;
}

/**
 * Store of the host's sessions: a numbered log for each, stored before anyone sees it, and what is too large for an
 * event. A reader is a number. A session is live until its log holds sessionFinished, whichever process wrote that.
 */
export interface SessionStore extends Disposable {
  readonly usage: UsageStore;
  readonly requests: RequestStore;
  readonly left: LeftStore;
  /** Makes the log of a new session. Throws REQUEST_ID_TAKEN if another one has its request id. */
  createSession(sessionId: string, session: NewSession): void;
  /** Returns the session that was created with a request id. Undefined: none is stored. */
  findByRequest(requestId: string): string | undefined;
  /** Returns the shape of a session's container, as it was given. */
  getContainer(sessionId: string): string | undefined;
  /** Returns the files of the user's own set-up that a session was created with, as they were given. Undefined: none. */
  getUserFiles(sessionId: string): Uint8Array | undefined;
  /** Keeps the ref of a session's container, as JSON, in place of the one before. */
  putContainerRef(sessionId: string, containerRef: string): void;
  /** Returns the ref of a session's container. Undefined: none was put. */
  getContainerRef(sessionId: string): string | undefined;
  /** Returns the refs of the containers of all sessions that have not finished. */
  liveContainerRefs(): string[];
  /**
   * Returns STORE_FAILED if there is no room to begin a session, even if events find some for a while. Undefined: there
   * is room.
   */
  findProblem(): AppError | undefined;
  /** Returns the ids of the sessions that have not finished, oldest first. */
  liveSessionIds(): string[];
  /**
   * Stores events in one transaction and returns them with their numbers. An empty list is fine. When a session has
   * stored too much, only the course of what its agent says is kept, and an outputTruncated event says so. Throws
   * SESSION_NOT_LIVE after the last event, STORE_FAILED (retryable) for want of room, STORE_CORRUPT.
   */
  append(sessionId: string, events: NewEvent[]): SessionEvent[];
  /** Returns up to `limit` events after a number, oldest first, and fewer if they are large. Empty: there is none. */
  read(sessionId: string, options: { afterSequence: number; limit: number }): SessionEvent[];
  /**
   * Returns the places of the newest whole diffs of all files that differ from the start commit, in the order of their
   * paths.
   */
  listDiffs(sessionId: string): DiffPlace[];
  /**
   * Resolves with true when there are events after a number, or the session is woken; with false if it is not live, so
   * that none will come. Never rejects.
   */
  changed(sessionId: string, options: { afterSequence: number }): Promise<boolean>;
  /** Wakes all who wait for a session's events: one of them may not want to wait any more. */
  wake(sessionId: string): void;
  /**
   * Calls the listener, once that is stored, for each session that is new or of which more has changed than its newest number,
   * with its state, and for each that was removed, with none. Dispose of it to end that.
   */
  onChanged(listener: (sessionId: string, state: Session_State | undefined) => void): Disposable;
  /** Calls the listener with events of any session, once they are stored, in the order of its log. Dispose of it to end that. */
  onStored(listener: (sessionId: string, events: readonly NewEvent[]) => void): Disposable;
  /** Returns the bytes of all that is stored. */
  usedBytes(): number;
  /** Returns the fold of the log, a copy for the caller. Undefined: there is no such session. */
  getSession(sessionId: string): Session | undefined;
  /** Returns sessions, newest first, without the lists and texts of their results. */
  listSessions(filter: ListFilter): Session[];
  /** Notes where a finished session's changes were taken to. Undefined: they were given back. */
  markTaken(sessionId: string, taken: TakenChanges | undefined): void;
  /** Removes everything that is stored of a finished session. It is gone at once, its room a little later. */
  deleteSession(sessionId: string): Promise<void>;
  /**
   * Removes finished sessions that are too old, then the oldest ones until all that is stored fits
   * the size, and gives their room back to the disk. Never a live one, and never one with changes that nobody has taken.
   */
  prune(options: { nowMs: number }): Promise<Pruned>;
  /** Returns the sessions with changes that nobody has taken, the largest first. It reads all of their events. */
  largestUntaken(options: { limit: number }): { sessionId: string; bytes: number }[];
  /** Returns the agent's number of its newest event. 0: there is none. */
  lastAgentSequence(sessionId: string): number;
}
