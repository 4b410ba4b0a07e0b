import type { EventBody, Session, SessionEvent, SessionResult, Session_State } from "../../proto/index.ts";

/** An event to be stored: the host's own, or one of the agent's with the agent's number. */
export interface NewEvent {
  event: EventBody;
  occurTimeMs: number;
  /** The agent's number of it; undefined for the host's own. */
  agentSequence?: number;
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

/**
 * What the host knows of its sessions: a numbered log for each, stored before anyone sees it, and
 * what is too large for an event. Readers are numbers.
 */
export interface SessionStore extends Disposable {
  /** Makes the log of a new session. */
  createSession(sessionId: string): void;
  /** Stores events in one transaction and returns them numbered. An empty list is fine. */
  append(sessionId: string, events: NewEvent[]): SessionEvent[];
  /** Up to `limit` events after a number, oldest first. */
  read(sessionId: string, options: { afterSequence: number; limit: number }): SessionEvent[];
  /**
   * Resolves true when there are events after a number, false on abort, or if none will come because
   * nobody in this process writes to that session. Never rejects.
   */
  changed(sessionId: string, options: { afterSequence: number; signal: AbortSignal }): Promise<boolean>;
  /** The fold of the log; undefined if there is no such session. The caller's own copy. */
  getSession(sessionId: string): Session | undefined;
  /** Newest first; results without their lists and texts. */
  listSessions(filter: ListFilter): Session[];
  /** Removes everything that is stored of a finished session. */
  deleteSession(sessionId: string): void;
  /** The agent's number of the newest event that came from it; 0 if there is none. */
  lastAgentSequence(sessionId: string): number;
  /** Keeps the whole result and the whole patch of a session. */
  putResult(sessionId: string, result: SessionResult, patch: Uint8Array): void;
  /** The whole result and patch; undefined until there is one. */
  getResult(sessionId: string): { result: SessionResult; patch: Uint8Array } | undefined;
}
