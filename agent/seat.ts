import type { AppError } from "../proto/index.ts";

/** Hold on a seat, until it is disposed of. */
export interface Hold extends Disposable {
  /** Signal that is aborted, with the error, when somebody else has taken the seat. */
  readonly signal: AbortSignal;
}

/** Error for whoever is replaced, and what changes call. */
export interface SeatOptions {
  /** Returns the error for the holder that is replaced. */
  replaced(): AppError;
  /**
   * Called with true when a free seat is taken, and with false when it is free again. A change of holders calls
   * nothing.
   */
  onChange?(taken: boolean): void;
}

/** Place for one holder: a newer one replaces the one before. */
export class Seat {
  readonly #options: SeatOptions;
  #holder: AbortController | undefined;

  constructor(options: SeatOptions) {
    this.#options = options;
  }

  /** Whether somebody holds the seat. */
  get taken(): boolean {
    return this.#holder !== undefined;
  }

  /** Takes the seat from whoever holds it. */
  take(): Hold {
    const before = this.#holder;
    const holder = new AbortController();
    this.#holder = holder;
    if (before === undefined) this.#options.onChange?.(true);
    else before.abort(this.#options.replaced());
    return {
      signal: holder.signal,
      [Symbol.dispose]: () => {
        if (this.#holder !== holder) return;
        this.#holder = undefined;
        this.#options.onChange?.(false);
      },
    };
  }
}
