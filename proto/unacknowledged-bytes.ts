/** Most bytes that one direction of a tunnel may hold unacknowledged: a container 20 ms away still gets 50 MB/s. */
export const TUNNEL_WINDOW_BYTES = 1024 * 1024;
/** What all tunnels of a session may hold together (bytes), beyond the least that each may. */
const TOTAL_BYTES = 2 * 1024 * 1024;
/** What each tunnel may hold in any case (bytes). */
const LEAST_BYTES = 8 * 1024;
/**
 * Number of bytes after which a receiver acknowledges. It is less than any sender may hold: otherwise both would wait
 * for ever.
 */
export const ACKNOWLEDGE_BYTES = 4 * 1024;

const NOTHING = Buffer.alloc(0);

/** Memory that all tunnels of one session share. */
export class TunnelMemory {
  readonly #totalBytes: number;
  #heldBytes = 0;
  readonly #waiting = new Set<() => void>();

  /** Sets the limit in bytes. Default: 2 MiB. */
  constructor(totalBytes = TOTAL_BYTES) {
    this.#totalBytes = totalBytes;
  }

  /** Whether the tunnels hold as much as they may. */
  get full(): boolean {
    return this.#heldBytes >= this.#totalBytes;
  }

  /** Adds bytes to what is held. A negative number takes them away. */
  count(bytes: number): void {
    const wasFull = this.full;
    this.#heldBytes += bytes;
    if (!wasFull || this.full) return;
    for (const wake of this.#waiting) wake();
  }

  /** Calls back each time that memory stops being full. Returns the function that ends this. */
  onRoom(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => this.#waiting.delete(wake);
  }
}

/**
 * Bytes of one direction of a tunnel that the other end has not acknowledged. They are numbered from the connection's
 * first one, and sent again if the call that carries them is lost.
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

  /** Number of bytes that there have been. */
  get totalBytes(): number {
    return this.#end;
  }

  /** Number of bytes that are held. */
  get heldBytes(): number {
    return this.#end - this.#start;
  }

  /** Whether more may be appended: then a whole piece of any size. */
  get roomy(): boolean {
    const held = this.heldBytes;
    return held < LEAST_BYTES || (held < TUNNEL_WINDOW_BYTES && !this.#memory.full);
  }

  /** Adds bytes behind the last ones. */
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

  /**
   * Returns a copy of at most `maxBytes` from number `from` on; empty if there are none yet. Throws RangeError if they
   * are not held.
   */
  read(from: number, maxBytes: number): Buffer {
    if (!this.holds(from)) throw new RangeError(`Byte ${from} is not among ${this.#start} to ${this.#end}.`);
    const start = this.#offset + (from - this.#start);
    return Buffer.from(
      this.#buffer.subarray(start, Math.min(start + maxBytes, this.#offset + this.#end - this.#start)),
    );
  }

  /** Whether reading can go on from this number. */
  holds(from: number): boolean {
    return Number.isSafeInteger(from) && from >= this.#start && from <= this.#end;
  }

  /**
   * Forgets the bytes before this number. A number that has been acknowledged, or has never been reached, changes
   * nothing.
   */
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

  /** Forgets all bytes. */
  clear(): void {
    this.acknowledge(this.#end);
  }

  /** Bytes of memory that are taken: a small multiple of what is held. */
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
