/** Countdown of a time that can be paused. It begins paused. */
export class Countdown {
  readonly #onElapsed: () => void;
  #leftMs: number;
  #sinceMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Calls `onElapsed` once it has gone for `ms` altogether. */
  constructor(ms: number, onElapsed: () => void) {
    this.#leftMs = ms;
    this.#onElapsed = onElapsed;
  }

  /** Goes on. Must be paused. */
  go(): void {
    this.#sinceMs = performance.now();
    this.#timer = setTimeout(this.#onElapsed, this.#leftMs);
  }

  /** Stops for now. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#leftMs = Math.max(0, this.#leftMs - (performance.now() - this.#sinceMs));
    this.#sinceMs = performance.now();
  }
}
