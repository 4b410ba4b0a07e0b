/** Bytes of a stream, gathered in one piece. Each is copied a few times at most, however small the chunks are. */
export class GatheredBytes {
  #room: Buffer = Buffer.alloc(0);
  #length = 0;

  /** All bytes gathered so far. What comes later does not change them. */
  get bytes(): Buffer {
    return this.#room.subarray(0, this.#length);
  }

  /** Adds a copy of a chunk. */
  push(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (length > this.#room.length) {
      // Twice as much each time; chunks are not kept, each of which could hold a large buffer.
      const room = Buffer.alloc(Math.max(length, 2 * this.#room.length));
      this.#room.copy(room, 0, 0, this.#length);
      this.#room = room;
    }
    chunk.copy(this.#room, this.#length);
    this.#length = length;
  }
}
