import type { EndReason } from "./outcome.ts";

/** End of a session: what it is ended by, and how long anything is still waited for. */
export class Ending {
  readonly #early = new AbortController();
  readonly #hurryClaude = new AbortController();
  readonly #hurry = new AbortController();
  readonly #noMoreRoom = new AbortController();
  readonly #abandoned = new AbortController();
  #settled = false;

  /** Signal that is aborted when the session is to end before it ends by itself. */
  readonly signal = this.#early.signal;
  /** Signal that is aborted when Claude gets no more time to end by itself. */
  readonly hurryClaude = this.#hurryClaude.signal;
  /** Signal that is aborted when nothing is waited for any more. */
  readonly hurry = this.#hurry.signal;
  /** Signal that is aborted when a full log is not waited for any more: what has no room is left out. */
  readonly noMoreRoom = this.#noMoreRoom.signal;

  /** Signal that is aborted when the session is ended for another reason than its time, also once that does not count any more. */
  readonly abandoned = this.#abandoned.signal;

  /** Reason for which the session was ended. Undefined: it was not, or ended by itself. */
  get reason(): EndReason | undefined {
    return this.#early.signal.aborted ? (this.#early.signal.reason as EndReason) : undefined;
  }

  /** Whether it is settled how the session ends. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Ends the session early. The first reason counts; after `settle` none does. */
  begin(reason: EndReason): void {
    if (reason.kind !== "timedOut") this.#abandoned.abort();
    if (this.#settled || this.#early.signal.aborted) return;
    this.#noMoreRoom.abort();
    this.#early.abort(reason);
  }

  /** Settles how the session ends: from here on it only collects. */
  settle(): void {
    this.#settled = true;
  }

  /** Ends the wait for room in the log. */
  giveUpRoom(): void {
    this.#noMoreRoom.abort();
  }

  /**
   * Ends the session with its agent: Claude has `claudeMs` to end by itself, the time until the signal is for the
   * changes, and after that nothing is waited for. Resolves with `finished`.
   */
  async shutDown(options: { claudeMs: number; finished: Promise<unknown>; signal: AbortSignal }): Promise<void> {
    const { claudeMs, finished, signal } = options;
    this.begin({ kind: "shutDown" });
    const timer = setTimeout(() => this.#hurryClaude.abort(), claudeMs);
    const hurry = () => [this.#noMoreRoom, this.#hurryClaude, this.#hurry].forEach((controller) => controller.abort());
    if (signal.aborted) hurry();
    signal.addEventListener("abort", hurry, { once: true });
    await finished;
    signal.removeEventListener("abort", hurry);
    clearTimeout(timer);
  }
}
