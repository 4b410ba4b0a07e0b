import { AppError, completeSpec, type SessionSpec } from "../../proto/index.ts";
import type { AgentSession } from "./session.ts";

/** The agent's one session, once there is one. */
export class OnlySession {
  readonly #create: (id: string, spec: SessionSpec) => AgentSession;
  #session: AgentSession | undefined;
  #closed = false;

  constructor(create: (id: string, spec: SessionSpec) => AgentSession) {
    this.#create = create;
  }

  get current(): AgentSession | undefined {
    return this.#session;
  }

  /** Starts the session, or returns the one that has the id already. */
  start(id: string, spec: SessionSpec | undefined): AgentSession {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(id)) {
      throw new AppError("SESSION_ID_INVALID", `"${id.slice(0, 64)}" cannot be a session's id.`, {
        kind: "INVALID_ARGUMENT",
        help: "Use 1 to 64 characters of A-Z, a-z, 0-9, _ and -.",
      });
    }
    if (this.#session?.id === id) return this.#session;
    if (this.#session !== undefined) {
      throw new AppError("SESSION_EXISTS", `This agent has session "${this.#session.id}" already.`, {
        kind: "FAILED_PRECONDITION",
        metadata: { session_id: this.#session.id },
        help: "An agent runs one session; start another container for another one.",
      });
    }
    if (this.#closed) {
      throw new AppError("AGENT_ENDING", "The agent is ending and starts nothing.", { kind: "UNAVAILABLE" });
    }
    if (spec === undefined) {
      throw new AppError("SPEC_MISSING", "StartSession needs a spec.", {
        kind: "INVALID_ARGUMENT",
        help: "Say at least what the task is.",
      });
    }
    this.#session = this.#create(id, completeSpec(spec));
    return this.#session;
  }

  /** Returns the session of that id; an empty id means whichever there is. Throws NOT_FOUND. */
  require(id: string): AgentSession {
    if (this.#session !== undefined && (id === "" || id === this.#session.id)) return this.#session;
    const what = id === "" ? "There is no session yet." : `There is no session "${id.slice(0, 64)}" here.`;
    throw new AppError("SESSION_NOT_FOUND", what, { kind: "NOT_FOUND", metadata: { session_id: id.slice(0, 64) } });
  }

  /** No session is started any more. */
  close(): void {
    this.#closed = true;
  }
}
