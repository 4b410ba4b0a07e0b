import type { ContainerSpec, Session, SessionEvent, SessionSpec } from "../../proto/index.ts";

/** What a session is created from. */
export interface CreateSessionRequest {
  spec: SessionSpec;
  container: ContainerSpec;
  /** Id of the session whose Claude asks. Empty: none. */
  parent?: string;
  /** The same id again answers with the same session. */
  requestId?: string;
}

/**
 * All sessions, as the control API offers them. The boundaries (cli, mcp) know nothing else of the
 * session layer, so that it can live in another process.
 */
export interface Sessions {
  /** Starts a session and answers at once. Throws AppError INVALID_ARGUMENT, UNAVAILABLE. */
  create(request: CreateSessionRequest): Promise<Session>;
  /** Throws NOT_FOUND. */
  get(sessionId: string): Promise<Session>;
  /** Yields every event after `afterSequence` up to the last one; ends silently on abort. */
  watch(sessionId: string, options: { afterSequence: number; signal: AbortSignal }): AsyncIterable<SessionEvent>;
  /** Asks for the end of a session; the changes are still collected. The first reason is kept. */
  stop(sessionId: string, options: { reason: string }): Promise<void>;
  /** Ends the running turn. */
  interrupt(sessionId: string): Promise<void>;
  /** Sends Claude another message. */
  sendMessage(sessionId: string, text: string): Promise<void>;
  /** The whole patch, or what is known of it so far. */
  readChanges(sessionId: string): Promise<Uint8Array>;
}
