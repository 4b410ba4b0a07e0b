import { AppError, type SessionResult } from "../../proto/index.ts";
import { cancellation, failure } from "./ending.ts";

/** Reason for a session's run to end before its agent has ended the session by itself. */
export type EndReason =
  /** Somebody ended the session: the agent collects its changes. */
  | { kind: "stopped"; reason: string }
  /** The agent is not waited for any more: the container goes, and what was streamed is kept. */
  | { kind: "cutShort"; error: unknown }
  /** The same, and nothing is waited for, not even room in the store. */
  | { kind: "killed"; reason: string }
  /** This host lets go of the session: container and log stay as they are for the next one. */
  | { kind: "detached" };

const URGENCY: Record<EndReason["kind"], number> = { stopped: 1, cutShort: 2, killed: 3, detached: 3 };

/**
 * End of one session's run, from the first reason for it on. A later reason counts only if it is more urgent. The first
 * says how the session ended, the last how much is still waited for.
 */
export class RunEnd {
  readonly #stopping = new AbortController();
  readonly #leaving = new AbortController();
  #first: EndReason | undefined;
  #last: EndReason | undefined;
  #deadline: NodeJS.Timeout | undefined;

  /** Signal that is aborted at the first reason: nothing more is begun for the session. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Signal that is aborted at the first reason beyond a stop: the agent is not waited for any more. */
  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Kind of the most urgent reason so far. Undefined: the run goes on. */
  get kind(): EndReason["kind"] | undefined {
    return this.#last?.kind;
  }

  /** Adds a reason. Returns false, and changes nothing, where a known one is as urgent or more. */
  add(reason: EndReason): boolean {
    if (this.#last !== undefined && URGENCY[reason.kind] <= URGENCY[this.#last.kind]) return false;
    this.#first ??= reason;
    this.#last = reason;
    const error = errorOf(reason);
    this.#stopping.abort(error);
    if (reason.kind !== "stopped") this.#leaving.abort(error);
    return true;
  }

  /** Does work in a place that cannot fail. If it throws, the session is cut short with the error. */
  guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.add({ kind: "cutShort", error });
    }
  }

  /**
   * Sets the time (ms) after which the session is cut short, for an agent that does not end it. Replaces the one before. When
   * it is over `more` says how much longer (ms); default: not at all.
   */
  setDeadline(ms: number, { more = () => 0 }: { more?: () => number } = {}): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      const moreMs = more();
      if (moreMs > 0) this.setDeadline(moreMs, { more });
      else this.add({ kind: "cutShort", error: unresponsive() });
    }, ms);
  }

  /** Takes the deadline back. */
  clearDeadline(): void {
    clearTimeout(this.#deadline);
  }

  /** Returns the outcome that the first reason means; without one, the outcome given. */
  outcome(otherwise: SessionResult["outcome"]): SessionResult["outcome"] {
    switch (this.#first?.kind) {
      case "stopped":
      case "killed":
        return cancellation(this.#first.reason);
      case "cutShort":
        return failure(this.#first.error);
      case "detached":
      case undefined:
        return otherwise;
    }
  }
}

/** Returns the error for those who wait for a session when its host lets go of it: HOST_CLOSING. */
export function hostClosing(): AppError {
  return new AppError("HOST_CLOSING", "The host is shutting down; its sessions go on.", {
    retryable: true,
  });
}

function errorOf(reason: EndReason): unknown {
  switch (reason.kind) {
    case "stopped":
    case "killed":
      return new Error(reason.reason);
    case "cutShort":
      return reason.error;
    case "detached":
      return hostClosing();
  }
}

function unresponsive(): AppError {
  return new AppError("AGENT_UNRESPONSIVE", "The agent did not end the session in time.", {
    help: "The changes up to then were kept. Look at the machine's load.",
  });
}
