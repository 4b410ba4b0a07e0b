import { Session_State } from "../../proto/index.ts";

/** A container may say for ever that it waits (ms). */
const MAX_MS = 2 * 86_400_000;
const LEAST_MS = 1_000;

/** Time that a session has spent waiting for decisions, which is not Claude's. At most two days of it count. */
export class WaitedTime {
  #sinceMs: number | undefined;
  #untakenMs = 0;
  #takenMs = 0;

  /** Notes the state that the session is in now. */
  note(state: Session_State): void {
    if (this.#sinceMs !== undefined) this.#untakenMs += performance.now() - this.#sinceMs;
    this.#sinceMs = state === Session_State.WAITING ? performance.now() : undefined;
  }

  /** Returns how long it has waited since this was called last (ms), at least a second while it does. */
  take(): number {
    if (this.#sinceMs !== undefined) this.note(Session_State.WAITING);
    const least = this.#sinceMs === undefined ? 0 : LEAST_MS;
    const ms = Math.min(Math.max(this.#untakenMs, least), MAX_MS - this.#takenMs);
    this.#untakenMs = 0;
    this.#takenMs += ms;
    return ms;
  }
}
