/** What is not counted here but within this, and whom to tell. */
interface HeldBytesOptions {
  /** Bytes of several, of which these are a part. Default: none. */
  within?: HeldBytes | undefined;
  /** Called each time that there is no room for some. Default: nobody is told. */
  onFull?: () => void;
}

/** Bytes that are held in memory, up to a bound. */
export class HeldBytes {
  #free: number;
  readonly #within: HeldBytes | undefined;
  readonly #onFull: () => void;

  constructor(maxBytes: number, { within, onFull = () => {} }: HeldBytesOptions = {}) {
    this.#free = maxBytes;
    this.#within = within;
    this.#onFull = onFull;
  }

  /** Counts some more. Returns false, and counts none, if there is no room for all of them. */
  hold(count: number): boolean {
    if (count > this.#free) {
      this.#onFull();
      return false;
    }
    if (this.#within?.hold(count) === false) return false;
    this.#free -= count;
    return true;
  }

  /** Counts some no more. */
  release(count: number): void {
    this.#free += count;
    this.#within?.release(count);
  }
}
