/** First and longest pause (ms). */
const FIRST_MS = 500;
const LONGEST_MS = 10_000;

/** Pauses before the host is called again: each twice as long as the one before, up to a bound. */
export class Pauses {
  #ms = FIRST_MS;
  #wake = () => {};

  /** Makes the next pause a short one. */
  reset(): void {
    this.#ms = FIRST_MS;
  }

  /** Ends the pause that is under way, if there is one. */
  wake(): void {
    this.#wake();
  }

  /** Waits, until the signal at most. */
  async rest(signal: AbortSignal): Promise<void> {
    const ms = this.#ms;
    this.#ms = Math.min(2 * ms, LONGEST_MS);
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wake = done;
      signal.addEventListener("abort", done);
    });
  }
}
