import {
  AppError,
  completeSpec,
  cutChars,
  onAbort,
  type PrepareSessionRequest,
  type SessionSpec,
  type StartSessionRequest,
  takeUserFiles,
} from "../../proto/index.ts";
import { requireConversationId } from "../claude/transcript.ts";
import { IncomingArtifacts, type Restore } from "./incoming-artifacts.ts";
import type { Assignment } from "./assignment.ts";
import type { PreparedClaude, PreparedShape } from "./prepared-claude.ts";
import type { AgentSession } from "./session.ts";

type PrepareRequest = Pick<PrepareSessionRequest, "spec" | "gitPrefixes">;
type StartRequest = Pick<StartSessionRequest, "sessionId" | "spec" | "gitPrefixes" | "previousConversationId">;

/** What the agent does with what it is given. */
export interface OnlySessionOptions {
  /** Starts a Claude for a session to come. */
  prepare(shape: PreparedShape): PreparedClaude;
  /** Begins the session. Called at most once. */
  begin(assignment: Assignment): AgentSession;
}

/** Session of the agent: none while the agent is prepared, then the first one that it is given, for ever. */
export class OnlySession {
  readonly #options: OnlySessionOptions;
  #session: AgentSession | undefined;
  /** For the session to come. */
  #incoming: { readonly id: string; readonly artifacts: IncomingArtifacts } | undefined;
  #prepared: PreparedClaude | undefined;
  #closed = false;

  constructor(options: OnlySessionOptions) {
    this.#options = options;
  }

  /** Session of the agent. Undefined: it was given none yet. */
  get current(): AgentSession | undefined {
    return this.#session;
  }

  /** Throws if no session of that id can be started, or is there already. */
  #requireFree(id: string): void {
    checkId(id);
    if (this.#session !== undefined && this.#session.id !== id) throw sessionExists(this.#session);
    if (this.#session === undefined) this.#requireOpen();
  }

  #requireUnused(): void {
    if (this.#session !== undefined) throw sessionExists(this.#session);
    this.#requireOpen();
  }

  #requireOpen(): void {
    if (this.#closed) throw new AppError("AGENT_ENDING", "The agent is ending and starts nothing.");
  }

  /**
   * Starts a Claude for a session to come, and resolves once it is ready. Throws SESSION_EXISTS, SESSION_PREPARED, the signal's
   * reason, and errors for what cannot work; then nothing is left of it.
   */
  async prepare({ spec, gitPrefixes }: PrepareRequest, { signal }: { signal: AbortSignal }): Promise<void> {
    this.#requireUnused();
    if (this.#prepared !== undefined) {
      throw new AppError("SESSION_PREPARED", "This agent has a prepared Claude already.", {
        help: "Start the session; an agent is prepared once.",
      });
    }
    if (spec === undefined) throw specMissing("PrepareSession");
    // They count for nothing, so that they need not be right.
    const complete = completeSpec({ ...spec, task: "-", model: "", repository: undefined });
    const userFiles = takeUserFiles(complete);
    const shape = { spec: complete, userFiles, gitPrefixes: checkPrefixes(gitPrefixes) };
    const prepared = (this.#prepared = this.#options.prepare(shape));
    using _watch = onAbort([signal], () => void prepared[Symbol.asyncDispose]());
    try {
      await prepared.ready;
      signal.throwIfAborted();
    } catch (error) {
      await prepared[Symbol.asyncDispose]();
      if (this.#prepared === prepared) this.#prepared = undefined;
      signal.throwIfAborted();
      this.#requireUnused();
      throw error;
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
    if (spec === undefined) throw specMissing("StartSession");
    const complete = completeSpec(spec);
    const restore = this.#restoreFor(id, complete, requireConversationId(request.previousConversationId));
    this.#incoming = undefined;
    const userFiles = takeUserFiles(complete);
    const assignment = { id, spec: complete, userFiles, restore, gitPrefixes: checkPrefixes(gitPrefixes) };
    this.#session = this.#options.begin({ ...assignment, prepared: this.#prepared });
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

  /** Refuses to start a session from here on. Resolves when a Claude that waits for one is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#prepared?.[Symbol.asyncDispose]();
  }
}

function sessionExists({ id }: AgentSession): AppError {
  return new AppError("SESSION_EXISTS", `This agent has session "${id}" already.`, {
    metadata: { session_id: id },
    help: "An agent runs one session; start another container for another one.",
  });
}

function specMissing(call: string): AppError {
  return new AppError("SPEC_MISSING", `${call} needs a spec.`, { help: "Say at least what the task is." });
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
