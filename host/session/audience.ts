/** A look at a session is no presence, and who connects anew was not away (ms). */
const SETTLE_MS = 1_000;

/** Who could decide what sessions wait for: whoever watches them. */
export class Audience implements Disposable {
  readonly #onChange: () => void;
  readonly #counts = new Map<string, number>();
  #ofAll = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Calls `onChange` when somebody has come or gone, once that has settled for a second. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Whether anybody watches a session. */
  has(sessionId: string): boolean {
    return this.#ofAll > 0 || this.#counts.has(sessionId);
  }

  /** Counts somebody who watches these sessions, none named: all, until it is disposed of. */
  enter(sessionIds: readonly string[]): Disposable {
    this.#change(sessionIds, 1);
    return { [Symbol.dispose]: () => this.#change(sessionIds, -1) };
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #change(sessionIds: readonly string[], by: 1 | -1): void {
    if (sessionIds.length === 0) this.#ofAll += by;
    for (const id of sessionIds) {
      const count = (this.#counts.get(id) ?? 0) + by;
      if (count > 0) this.#counts.set(id, count);
      else this.#counts.delete(id);
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#onChange();
    }, SETTLE_MS).unref();
  }
}
