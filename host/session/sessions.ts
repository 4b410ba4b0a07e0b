import type { WatchSessionsResponse } from "../../proto/control.ts";
import type {
  ArtifactKind,
  ContainerSpec,
  Decider,
  ReadableArtifact,
  ReadOptions,
  Session,
  Session_State,
  SessionEvent,
  SessionSpec,
  TakenChanges,
} from "../../proto/index.ts";

/** Session to create. */
export interface CreateSessionRequest {
  spec: SessionSpec;
  container: ContainerSpec;
  /** Id of the session whose Claude asks. Empty: none. */
  parent?: string;
  /** Id of the request. A second request with it answers with the same session. */
  requestId?: string;
  /** Name of the caller, as the host knows it: nobody gives it for himself. Undefined: the host's own user. */
  caller?: string;
}

/** Filter of sessions. */
export interface SessionFilter {
  /** States of the sessions. Empty or undefined: all. */
  states?: readonly Session_State[];
  /** Parent of the sessions. Undefined: any. */
  parent?: string;
}

/** Page of a list of sessions that is asked for. */
export interface ListSessionsRequest extends SessionFilter {
  /** Most sessions in a page, 1 to 1000. Default: 100. */
  pageSize?: number;
  /** Token of the page before, its nextPageToken. Empty or undefined: the first page. */
  pageToken?: string;
}

/** Page of sessions, without the large parts of their results. */
export interface ListSessionsPage {
  sessions: Session[];
  /** Token for the next page. Empty: this is the last one. */
  nextPageToken: string;
}

/** Sessions to watch, and from where. A session that leaves the states is told of once more. */
export interface WatchSessionsRequest extends SessionFilter {
  /** Ids of the sessions. Empty or undefined: all. */
  ids?: readonly string[];
  /** Last cursor of a stream with the same filter. Empty or undefined: everything is sent. */
  cursor?: string;
  /** Signal that ends the stream without an error. */
  signal: AbortSignal;
}

/** Message of a stream of sessions. */
export type SessionsNews = Exclude<WatchSessionsResponse["response"], { case: undefined | "heartbeat" }>;

/** Decision on a permission. */
export interface Decision {
  requestId: string;
  allow: boolean;
  /** What Claude is told of a denial. */
  message?: string;
  /** Also what the request's session_rules name, for the rest of the session. */
  forSession?: boolean;
  /** DECIDER_POLICY: nobody could be asked. Default: somebody decides. */
  decider?: Decider;
}

/** Answers to Claude's questions, one list of values for each. */
export interface Answers {
  requestId: string;
  answers: readonly (readonly string[])[];
  /** DECIDER_POLICY, without answers: nobody could be asked. Default: somebody answers. */
  decider?: Decider;
}

/** Artifact that somebody is about to read. */
export type OpenArtifact = ReadableArtifact & Disposable;

/**
 * All sessions, as the control API offers them. The boundaries (cli, mcp) know nothing else of the session layer, which
 * may live in another process.
 */
export interface Sessions {
  /** Creates a session and answers at once. Throws an INVALID_ARGUMENT or UNAVAILABLE error. */
  create(request: CreateSessionRequest): Promise<Session>;
  /** Returns a session as it is now. Throws NOT_FOUND. */
  get(sessionId: string): Promise<Session>;
  /** Lists sessions, newest first. Throws an INVALID_ARGUMENT error for a wrong token or size. */
  list(request: ListSessionsRequest): Promise<ListSessionsPage>;
  /** Reads a session's log, as LogReader says. Leaving the loop ends it. Throws NOT_FOUND, SEQUENCE_UNKNOWN. */
  watch(sessionId: string, options: ReadOptions): AsyncGenerator<SessionEvent[], undefined>;
  /**
   * Watches all sessions: a hello, those that match as they are now, and each again when more of it has changed than
   * its newest sequence number. A slow reader holds up nobody, and gets the newest of each. Leaving the loop ends it.
   */
  watchAll(request: WatchSessionsRequest): AsyncGenerator<SessionsNews, undefined>;
  /** Ends a session, and its changes are collected. The first reason is kept. It returns before the end. */
  stop(sessionId: string, options: { reason: string }): Promise<void>;
  /** Ends the running turn. Throws SESSION_OVER, TURN_NOT_RUNNING. */
  interrupt(sessionId: string): Promise<void>;
  /**
   * Sends Claude another message, queued while a turn runs. Throws SESSION_OVER, SESSION_ENDED, TURN_LIMIT_REACHED,
   * QUEUE_FULL, and as checkMessage.
   */
  sendMessage(sessionId: string, message: { text: string; messageId?: string }): Promise<void>;
  /**
   * Decides whether Claude may use a tool. The first decision counts. Throws SESSION_OVER, DECISION_UNKNOWN,
   * DECISION_MADE, DECISION_MISMATCH.
   */
  decide(sessionId: string, decision: Decision): Promise<void>;
  /**
   * Answers Claude's questions: for each question labels of the chosen options, or other words. Throws as `decide`
   * does, and ANSWER_INVALID.
   */
  answer(sessionId: string, answer: Answers): Promise<void>;
  /**
   * Notes where a finished session's changes were taken to; undefined: they were given back. What was only saved does not
   * replace what was applied. Throws NOT_FOUND, SESSION_NOT_FINISHED.
   */
  markTaken(sessionId: string, taken: Pick<TakenChanges, "kind" | "place"> | undefined): Promise<void>;
  /**
   * Removes everything that is stored of a finished session. Throws SESSION_LIVE; and CHANGES_NOT_TAKEN if it has changes that
   * nobody has taken, unless they are to be discarded.
   */
  delete(sessionId: string, options?: { discard: boolean }): Promise<void>;
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
