/** Room that is made at most: so many times what has come. Whoever bounds the bytes that come bounds the room. */
const MAX_GROWTH = 2;

/** Bytes of a stream, gathered in one piece. Each is copied a few times at most, however small the chunks are. */
export class GatheredBytes {
  #room: Buffer = Buffer.alloc(0);
  #length = 0;
  readonly #expectedBytes: number;

  /** Sets how many are said to come. Default: nobody says. */
  constructor(expectedBytes = 0) {
    this.#expectedBytes = expectedBytes;
  }

  /** All bytes gathered so far. What comes later does not change them. */
  get bytes(): Buffer {
    return this.#room.subarray(0, this.#length);
  }

  /** Adds a copy of a chunk. */
  push(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (length > this.#room.length) {
      // Chunks are not kept, each of which could hold a large buffer.
      const expected = Math.min(this.#expectedBytes, MAX_GROWTH * length);
      const unexpected = Math.max(length, MAX_GROWTH * this.#room.length);
      const room = Buffer.allocUnsafeSlow(length <= this.#expectedBytes ? expected : unexpected);
      this.#room.copy(room, 0, 0, this.#length);
      this.#room = room;
    }
    chunk.copy(this.#room, this.#length);
    this.#length = length;
  }
}
