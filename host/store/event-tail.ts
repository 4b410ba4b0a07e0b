/** So many bytes at most. Readers that keep up need nothing from the disk. */
const TAIL_BYTES = 128 * 1024;
/** What the first event makes room for (bytes). */
const FIRST_BYTES = 4 * 1024;

const NOTHING = new Uint8Array(0);

/**
 * Tail of a log: its newest events, encoded, in up to 128 KiB of memory. As objects they would live just long enough for the
 * garbage collector to move each of them twice.
 */
export class EventTail {
  #bytes = NOTHING;
  /** Where each event ends. */
  #ends: number[] = [];

  /** Adds the newest event. To make room older ones go, half of the tail at a time. */
  push(data: Uint8Array): void {
    if (this.#used + data.length > TAIL_BYTES) this.#dropFirst(TAIL_BYTES / 2 - data.length);
    if (data.length > TAIL_BYTES) return;
    const start = this.#used;
    this.#reserve(start + data.length);
    this.#bytes.set(data, start);
    this.#ends.push(start + data.length);
  }

  /** Returns copies of the first `limit` of the newest `count` events, oldest first. Undefined: the tail holds fewer. */
  newest(count: number, limit = count): Uint8Array[] | undefined {
    const first = this.#ends.length - count;
    if (first < 0) return undefined;
    let start = first === 0 ? 0 : this.#ends[first - 1]!;
    return this.#ends.slice(first, first + limit).map((end) => this.#bytes.slice(start, (start = end)));
  }

  /** Forgets all events. */
  clear(): void {
    this.#bytes = NOTHING;
    this.#ends = [];
  }

  get #used(): number {
    return this.#ends.at(-1) ?? 0;
  }

  /** Drops the oldest until those that stay take no more than that (bytes). */
  #dropFirst(keptBytes: number): void {
    const used = this.#used;
    const firstKept = this.#ends.findIndex((end) => used - end <= keptBytes) + 1;
    const cut = firstKept === 0 ? used : this.#ends[firstKept - 1]!;
    this.#bytes.copyWithin(0, cut, used);
    this.#ends = firstKept === 0 ? [] : this.#ends.slice(firstKept).map((end) => end - cut);
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#bytes.length) return;
    let capacity = Math.max(FIRST_BYTES, this.#bytes.length);
    while (capacity < bytes) capacity *= 2;
    const larger = new Uint8Array(capacity);
    larger.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = larger;
  }
}
