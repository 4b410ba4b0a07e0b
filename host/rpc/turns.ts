/** After this long (ms) the host's other work has its turn. */
const TURN_MS = 5;

/** Turns of several loops, which share the time that they may take together in each turn of the host's own. */
export class Turns {
  #startMs: number | undefined;
  readonly #waiting: (() => void)[] = [];

  /** Whether the loops have had their time: whoever goes on is to wait for the next turn. */
  get over(): boolean {
    if (this.#startMs === undefined) this.#begin();
    return performance.now() - this.#startMs! >= TURN_MS;
  }

  /** Resolves once the host's other work has had its turn, for one loop after the other. */
  next(): Promise<void> {
    if (this.#startMs === undefined) this.#begin();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #begin(): void {
    this.#startMs = performance.now();
    setImmediate(() => {
      this.#startMs = undefined;
      const resume = this.#waiting.shift();
      if (resume === undefined) return;
      this.#begin();
      resume();
    });
  }
}
