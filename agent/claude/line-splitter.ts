const NEWLINE = 0x0a;

/**
 * Most bytes of a line of Claude's output that are kept. Real lines have a few MB at most: a whole file as the result
 * of a tool.
 */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Line of output without its line feed. */
export interface Line {
  readonly bytes: Buffer;
  /** Number of bytes beyond the limit that were thrown away. */
  readonly droppedBytes: number;
}

/** Splitter of a byte stream at its line feeds. It never holds more than the limit, and leaves bytes as they are. */
export class LineSplitter {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #heldBytes = 0;
  #droppedBytes = 0;

  constructor(maxBytes = MAX_LINE_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Yields the lines that the chunk completes. Empty lines are left out. */
  *push(chunk: Buffer): Generator<Line> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#hold(chunk.subarray(start, end));
      start = end + 1;
      yield* this.flush();
    }
    this.#hold(chunk.subarray(start));
  }

  /** Yields the last line if the stream ended without a line feed. */
  *flush(): Generator<Line> {
    if (this.#heldBytes === 0) return;
    const bytes = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts, this.#heldBytes);
    const line = { bytes, droppedBytes: this.#droppedBytes };
    this.#parts = [];
    this.#heldBytes = 0;
    this.#droppedBytes = 0;
    yield line;
  }

  #hold(part: Buffer): void {
    const kept = part.subarray(0, this.#maxBytes - this.#heldBytes);
    this.#droppedBytes += part.length - kept.length;
    if (kept.length === 0) return;
    this.#parts.push(kept);
    this.#heldBytes += kept.length;
  }
}
