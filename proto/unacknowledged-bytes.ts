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

/** What is appended is kept as it is from this size on (bytes), if it has its memory for itself; less is gathered. */
const KEPT_BYTES = 16 * 1024;
/** Most bytes that are gathered in one piece of memory. */
const GATHERED_BYTES = 64 * 1024;

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

/** Memory of which the first bytes are filled. Those are never written to again: whoever reads gets views. */
interface Block {
  readonly memory: Uint8Array;
  filled: number;
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
  /** Hold them from `#offset` in the first one on. */
  #blocks: Block[] = [];
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

  /** Adds bytes behind the last ones. They may be kept as they are, and must not change. */
  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (bytes.length >= KEPT_BYTES && hasOwnMemory(bytes)) this.#blocks.push({ memory: bytes, filled: bytes.length });
    else this.#gather(bytes);
    this.#end += bytes.length;
    this.#memory.count(bytes.length);
  }

  /**
   * Returns at most `maxBytes` from number `from` on, which must not be changed; empty if there are none yet. It may be
   * fewer than are held. Throws RangeError if they are not held.
   */
  read(from: number, maxBytes: number): Uint8Array {
    if (!this.holds(from)) throw new RangeError(`Byte ${from} is not among ${this.#start} to ${this.#end}.`);
    const parts: Uint8Array[] = [];
    let skipped = this.#offset + (from - this.#start);
    let length = 0;
    for (const { memory, filled } of this.#blocks) {
      // What is large enough goes by itself: it need not be copied.
      if (length >= KEPT_BYTES || length === maxBytes) break;
      const part = memory.subarray(Math.min(skipped, filled), Math.min(filled, skipped + maxBytes - length));
      skipped = Math.max(0, skipped - filled);
      if (part.length > 0) parts.push(part);
      length += part.length;
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, length);
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
    let gone = 0;
    for (; gone < this.#blocks.length && this.#blocks[gone]!.filled <= this.#offset; gone++) {
      this.#offset -= this.#blocks[gone]!.filled;
    }
    if (gone > 0) this.#blocks.splice(0, gone);
    // What is counted is what is held: the memory for it may be four times as much, or a little.
    if (this.bufferBytes > Math.max(LEAST_BYTES, 4 * this.heldBytes)) this.#shrink();
    this.#memory.count(-bytes);
  }

  /** Forgets all bytes. */
  clear(): void {
    this.acknowledge(this.#end);
  }

  /** Bytes of memory that are taken: a small multiple of what is held. */
  get bufferBytes(): number {
    let bytes = 0;
    for (const { memory } of this.#blocks) bytes += memory.buffer.byteLength;
    return bytes;
  }

  /** Copies them behind the last ones. */
  #gather(bytes: Uint8Array): void {
    const last = this.#blocks.at(-1);
    const taken = last === undefined ? 0 : Math.min(bytes.length, last.memory.length - last.filled);
    if (taken > 0) {
      last!.memory.set(bytes.subarray(0, taken), last!.filled);
      last!.filled += taken;
    }
    const rest = bytes.subarray(taken);
    if (rest.length === 0) return;
    // More than the last time, so that the blocks are few however small the pieces are.
    const size = Math.max(rest.length, Math.min(GATHERED_BYTES, 2 * (last?.memory.length ?? 0)));
    const memory = Buffer.allocUnsafeSlow(size);
    memory.set(rest);
    this.#blocks.push({ memory, filled: rest.length });
  }

  /** Moves what is held into memory of its size. */
  #shrink(): void {
    const rest = this.#blocks.map(({ memory, filled }, index) =>
      memory.subarray(index === 0 ? this.#offset : 0, filled),
    );
    this.#blocks = [];
    this.#offset = 0;
    const memory = Buffer.allocUnsafeSlow(this.heldBytes);
    let at = 0;
    for (const part of rest) {
      memory.set(part, at);
      at += part.length;
    }
    if (at > 0) this.#blocks.push({ memory, filled: at });
  }
}

/** Returns whether keeping the bytes keeps little else. */
export function hasOwnMemory({ length, buffer }: Uint8Array): boolean {
  return 2 * length >= buffer.byteLength;
}
