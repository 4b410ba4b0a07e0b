import type { AppError } from "../proto/index.ts";

/** Somebody's hold on a seat, until disposed of. */
export interface Hold extends Disposable {
  /** Aborted with the error when somebody else has taken the seat. */
  readonly signal: AbortSignal;
}

export interface SeatOptions {
  /** What the one who is replaced is told. */
  replaced(): AppError;
  /** Told when the seat is taken and when it is free again; not when it changes hands. */
  onChange?(taken: boolean): void;
}

/** A place for one: a newer holder replaces the one before. */
export class Seat {
  readonly #options: SeatOptions;
  #holder: AbortController | undefined;

  constructor(options: SeatOptions) {
    this.#options = options;
  }

  get taken(): boolean {
    return this.#holder !== undefined;
  }

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
