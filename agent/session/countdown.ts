/** Countdown of a time that can be paused. It begins paused. */
export class Countdown {
  readonly #onElapsed: () => void;
  #leftMs: number;
  #running = false;
  #sinceMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Calls `onElapsed` once it has gone for `ms` altogether. */
  constructor(ms: number, onElapsed: () => void) {
    this.#leftMs = ms;
    this.#onElapsed = onElapsed;
  }

  /** Time that is left (ms). */
  get leftMs(): number {
    return this.#running ? Math.max(0, this.#leftMs - (performance.now() - this.#sinceMs)) : this.#leftMs;
  }

  /** Goes on. */
  go(): void {
    if (this.#running) return;
    this.#running = true;
    this.#sinceMs = performance.now();
    this.#timer = setTimeout(this.#onElapsed, this.#leftMs);
  }

  /** Stops for now. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#leftMs = this.leftMs;
    this.#running = false;
  }
}
