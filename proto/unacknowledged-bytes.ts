/** What a tunnel may hold until the other end acknowledges it (bytes): a container 20 ms away still gets 50 MB/s. */
export const TUNNEL_WINDOW_BYTES = 1024 * 1024;
/** What all tunnels of a session may hold together (bytes), beyond the least that each may. */
const TOTAL_BYTES = 2 * 1024 * 1024;
/** What each tunnel may hold in any case (bytes). */
const LEAST_BYTES = 8 * 1024;
/** After so many bytes the receiver acknowledges. Less than any sender may hold, which would wait for ever otherwise. */
export const ACKNOWLEDGE_BYTES = 4 * 1024;

const NOTHING = Buffer.alloc(0);

/** What the tunnels of one session hold together. */
export class TunnelMemory {
  readonly #totalBytes: number;
  #heldBytes = 0;
  readonly #waiting = new Set<() => void>();

  /** For so many bytes; 2 MiB by default. */
  constructor(totalBytes = TOTAL_BYTES) {
    this.#totalBytes = totalBytes;
  }

  get full(): boolean {
    return this.#heldBytes >= this.#totalBytes;
  }

  /** Counts bytes in, or out where negative. */
  count(bytes: number): void {
    const wasFull = this.full;
    this.#heldBytes += bytes;
    if (!wasFull || this.full) return;
    for (const wake of this.#waiting) wake();
  }

  /** Calls back when it is not full any more, each time. Returns what ends that. */
  onRoom(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => this.#waiting.delete(wake);
  }
}

/**
 * The bytes of one direction of a tunnel that the other end has not acknowledged, numbered from the connection's first one:
 * what has to be sent again if the call that carries them is lost.
 */
export class UnacknowledgedBytes {
  readonly #memory: TunnelMemory;
  /** Number of the first byte that is held, and of the one after the last. */
  #start = 0;
  #end = 0;
  /** Holds them from `#offset` on. */
  #buffer = NOTHING;
  #offset = 0;

  constructor(memory: TunnelMemory) {
    this.#memory = memory;
  }

  /** How many there have been, in all. */
  get totalBytes(): number {
    return this.#end;
  }

  /** How many are held. */
  get heldBytes(): number {
    return this.#end - this.#start;
  }

  /** There may be more. A whole piece may be appended then, however large. */
  get roomy(): boolean {
    const held = this.heldBytes;
    return held < LEAST_BYTES || (held < TUNNEL_WINDOW_BYTES && !this.#memory.full);
  }

  append(bytes: Uint8Array): void {
    const held = this.heldBytes;
    const needed = held + bytes.length;
    if (this.#offset + needed > this.#buffer.length) {
      // Half empty: what is there moves to the front, at most once for each time that it was filled.
      this.#move(Math.max(needed * 2, this.#buffer.length));
    }
    this.#buffer.set(bytes, this.#offset + held);
    this.#end += bytes.length;
    this.#memory.count(bytes.length);
  }

  /** Returns a copy of what follows number `from`, at most so much; empty if there is nothing. Throws RangeError where it is not held. */
  read(from: number, maxBytes: number): Buffer {
    if (!this.holds(from)) throw new RangeError(`Byte ${from} is not among ${this.#start} to ${this.#end}.`);
    const start = this.#offset + (from - this.#start);
    return Buffer.from(
      this.#buffer.subarray(start, Math.min(start + maxBytes, this.#offset + this.#end - this.#start)),
    );
  }

  /** Whether it can go on from this number. */
  holds(from: number): boolean {
    return Number.isSafeInteger(from) && from >= this.#start && from <= this.#end;
  }

  /** Forgets what comes before this number. One that has been acknowledged, or was never there, changes nothing. */
  acknowledge(upTo: number): void {
    if (!this.holds(upTo)) return;
    const bytes = upTo - this.#start;
    this.#start = upTo;
    this.#offset += bytes;
    const held = this.heldBytes;
    // What is counted is what is held: the room for it may be four times as much, or a little.
    if (held === 0 || (this.#buffer.length > LEAST_BYTES && held * 4 < this.#buffer.length)) this.#move(held * 2);
    this.#memory.count(-bytes);
  }

  /** Forgets all of it. */
  clear(): void {
    this.acknowledge(this.#end);
  }

  /** What it takes in memory (bytes): a small multiple of what is held. */
  get bufferBytes(): number {
    return this.#buffer.length;
  }

  /** Moves what is held to the front of a buffer of this size. */
  #move(size: number): void {
    const buffer = size === 0 ? NOTHING : Buffer.allocUnsafeSlow(size);
    this.#buffer.copy(buffer, 0, this.#offset, this.#offset + this.#end - this.#start);
    this.#buffer = buffer;
    this.#offset = 0;
  }
}
