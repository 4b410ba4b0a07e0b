import type { WatchSessionsResponse } from "../../proto/control.ts";
import type {
  ArtifactKind,
  ContainerSpec,
  ReadableArtifact,
  ReadOptions,
  Session,
  Session_State,
  SessionEvent,
  SessionSpec,
} from "../../proto/index.ts";

/** What a session is created from. */
export interface CreateSessionRequest {
  spec: SessionSpec;
  container: ContainerSpec;
  /** Id of the session whose Claude asks. Empty: none. */
  parent?: string;
  /** The same id again answers with the same session. */
  requestId?: string;
}

/** Which sessions are meant. */
export interface SessionFilter {
  /** Only these states. Empty or undefined: all. */
  states?: readonly Session_State[];
  /** Only sessions of this parent. */
  parent?: string;
}

/** Which sessions a list is to hold. */
export interface ListSessionsRequest extends SessionFilter {
  /** Most sessions in a page, 1 to 1000. Default 100. */
  pageSize?: number;
  /** nextPageToken of the page before. */
  pageToken?: string;
}

/** A page of sessions, with the large parts of their results left out. */
export interface ListSessionsPage {
  sessions: Session[];
  /** Empty: this was the last page. */
  nextPageToken: string;
}

/** Which sessions to watch, and from where. Those that leave the states are told of once more. */
export interface WatchSessionsRequest extends SessionFilter {
  /** Only these. Empty or undefined: all. */
  ids?: readonly string[];
  /** The last one that a stream with the same filter gave. Empty or undefined: everything is sent. */
  cursor?: string;
  /** Ends the stream, silently. */
  signal: AbortSignal;
}

/** What a stream of sessions says. */
export type SessionsNews = Exclude<WatchSessionsResponse["response"], { case: undefined | "heartbeat" }>;

/** Artifact that somebody is about to read. */
export type OpenArtifact = ReadableArtifact & Disposable;

/**
 * All sessions, as the control API offers them. The boundaries (cli, mcp) know nothing else of the
 * session layer, so that it can live in another process.
 */
export interface Sessions {
  /** Starts a session and answers at once. Throws AppError INVALID_ARGUMENT, UNAVAILABLE. */
  create(request: CreateSessionRequest): Promise<Session>;
  /** Throws NOT_FOUND. */
  get(sessionId: string): Promise<Session>;
  /** Newest first. Throws INVALID_ARGUMENT for a wrong token or size. */
  list(request: ListSessionsRequest): Promise<ListSessionsPage>;
  /** Reads a session's log: see LogReader. Leaving the loop ends it. Throws NOT_FOUND, SEQUENCE_UNKNOWN. */
  watch(sessionId: string, options: ReadOptions): AsyncGenerator<SessionEvent[], undefined>;
  /**
   * Watches all sessions: a hello, those that match as they are now, and each again when more of it has changed than its newest
   * number. A reader holds up nobody: a slow one gets the newest of each. Leaving the loop ends it.
   */
  watchAll(request: WatchSessionsRequest): AsyncGenerator<SessionsNews, undefined>;
  /** Asks for the end of a session; the changes are still collected. The first reason is kept. */
  stop(sessionId: string, options: { reason: string }): Promise<void>;
  /** Ends the running turn. Throws SESSION_OVER, TURN_NOT_RUNNING. */
  interrupt(sessionId: string): Promise<void>;
  /** Sends Claude another message, queued while a turn runs. Throws SESSION_OVER. */
  sendMessage(sessionId: string, message: { text: string; messageId?: string }): Promise<void>;
  /**
   * Decides whether Claude may use a tool. The first decision counts. Throws SESSION_OVER,
   * DECISION_UNKNOWN, DECISION_MADE, DECISION_MISMATCH.
   */
  decide(sessionId: string, decision: { requestId: string; allow: boolean; message?: string }): Promise<void>;
  /**
   * Answers what Claude asks: for each question labels of the chosen options, or words of one's own.
   * Throws as `decide`, and ANSWER_INVALID.
   */
  answer(sessionId: string, answer: { requestId: string; answers: readonly (readonly string[])[] }): Promise<void>;
  /** Removes everything that is stored of a finished session. Throws SESSION_LIVE. */
  delete(sessionId: string): Promise<void>;
  /**
   * Opens an artifact: the patch as it is now or as it was left, or the transcript of a session that has finished. Dispose
   * of it, read or not. Throws NOT_FOUND, SESSION_NOT_FINISHED, TRANSCRIPT_MISSING; reading it ARTIFACT_INVALID,
   * ARTIFACT_CHANGED (the patch of a live session; read it again), STORE_CORRUPT.
   */
  openArtifact(sessionId: string, kind: ArtifactKind): Promise<OpenArtifact>;
  /**
   * Carries bytes to a live session's agent, and yields what comes back: one connection of its own, each way no faster than it
   * is taken. The end of `bytes` ends that half; it returns once the agent has ended the other. Leaving the loop, and an abort,
   * cut the connection. Throws NOT_FOUND, SESSION_NOT_RUNNING, CONTAINER_EXITED, AGENT_UNREACHABLE, CONNECTION_LOST.
   */
  dial(
    sessionId: string,
    bytes: AsyncIterable<Uint8Array>,
    options: { signal: AbortSignal },
  ): AsyncGenerator<Uint8Array, undefined>;
}
