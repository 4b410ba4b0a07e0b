import {
  AppError,
  completeSpec,
  cutChars,
  type SessionSpec,
  type StartSessionRequest,
  takeUserFiles,
} from "../../proto/index.ts";
import { requireConversationId } from "../claude/transcript.ts";
import { IncomingArtifacts, type Restore } from "./incoming-artifacts.ts";
import type { Assignment } from "./assignment.ts";
import type { AgentSession } from "./session.ts";

type StartRequest = Pick<StartSessionRequest, "sessionId" | "spec" | "gitPrefixes" | "previousConversationId">;

/** Session of the agent: none while the agent is prepared, then the first one that it is given, for ever. */
export class OnlySession {
  readonly #begin: (assignment: Assignment) => AgentSession;
  #session: AgentSession | undefined;
  /** For the session to come. */
  #incoming: { readonly id: string; readonly artifacts: IncomingArtifacts } | undefined;
  #closed = false;

  /** Calls `begin` at most once, with the session that the agent is given. */
  constructor(begin: (assignment: Assignment) => AgentSession) {
    this.#begin = begin;
  }

  /** Session of the agent. Undefined: it was given none yet. */
  get current(): AgentSession | undefined {
    return this.#session;
  }

  /** Throws if no session of that id can be started, or is there already. */
  #requireFree(id: string): void {
    checkId(id);
    if (this.#session !== undefined && this.#session.id !== id) {
      throw new AppError("SESSION_EXISTS", `This agent has session "${this.#session.id}" already.`, {
        metadata: { session_id: this.#session.id },
        help: "An agent runs one session; start another container for another one.",
      });
    }
    if (this.#session === undefined && this.#closed) {
      throw new AppError("AGENT_ENDING", "The agent is ending and starts nothing.");
    }
  }

  /** Returns the artifacts for the session of that id. They count for nothing once the session has been started. */
  incoming(id: string): IncomingArtifacts {
    this.#requireFree(id);
    if (this.#session !== undefined) return new IncomingArtifacts();
    if (this.#incoming?.id !== id) this.#incoming = { id, artifacts: new IncomingArtifacts() };
    return this.#incoming.artifacts;
  }

  /**
   * Starts the session, or returns the one that has the id already. Throws SESSION_EXISTS, and errors for what cannot
   * work.
   */
  start(request: StartRequest): AgentSession {
    const { sessionId: id, spec, gitPrefixes } = request;
    this.#requireFree(id);
    if (this.#session !== undefined) return this.#session;
    if (spec === undefined) {
      throw new AppError("SPEC_MISSING", "StartSession needs a spec.", {
        help: "Say at least what the task is.",
      });
    }
    const complete = completeSpec(spec);
    const restore = this.#restoreFor(id, complete, requireConversationId(request.previousConversationId));
    this.#incoming = undefined;
    const userFiles = takeUserFiles(complete);
    this.#session = this.#begin({ id, spec: complete, userFiles, restore, gitPrefixes: checkPrefixes(gitPrefixes) });
    return this.#session;
  }

  /** Returns the session of that id; an empty id means any. Throws SESSION_NOT_FOUND. */
  require(id: string): AgentSession {
    if (this.#session !== undefined && (id === "" || id === this.#session.id)) return this.#session;
    const what = id === "" ? "There is no session yet." : `There is no session "${cutChars(id, 64)}" here.`;
    throw new AppError("SESSION_NOT_FOUND", what, { metadata: { session_id: cutChars(id, 64) } });
  }

  #restoreFor(id: string, spec: SessionSpec, conversationId: string): Restore | undefined {
    const previousSessionId = spec.previousSessionId || spec.afterSessionId;
    if (previousSessionId === "") return undefined;
    const restore = this.#incoming?.id === id ? this.#incoming.artifacts.restore(conversationId) : undefined;
    if (restore !== undefined) return restore;
    throw new AppError("RESTORE_MISSING", `What session "${previousSessionId}" left is not here.`, {
      metadata: { previous_session_id: previousSessionId },
      help: "Send its patch with WriteArtifact first; it may be empty.",
    });
  }

  /** Refuses to start a session from here on. */
  close(): void {
    this.#closed = true;
  }
}

function checkPrefixes(prefixes: readonly string[]): readonly string[] {
  if (prefixes.length <= 64 && prefixes.every((prefix) => /^https?:\/\/[^/\s@]+\/$/i.test(prefix))) return prefixes;
  throw new AppError("GIT_PREFIX_INVALID", "There are git_prefixes that are no beginnings of URLs, or too many.", {
    help: 'Use at most 64 of the form "https://host/".',
  });
}

function checkId(id: string): void {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(id)) return;
  throw new AppError("SESSION_ID_INVALID", `"${cutChars(id, 64)}" cannot be a session's id.`, {
    help: "Use 1 to 64 characters of A-Z, a-z, 0-9, _ and -.",
  });
}
