/** Piece of what a program in a container has written. */
export interface Piece {
  source: "stdout" | "stderr";
  bytes: Buffer;
}

const HEADER_BYTES = 8;

/**
 * Decoder of the engine's frames: a byte that names the source, three zeros, the length, the bytes. It keeps nothing
 * but an incomplete header; pieces are views of what was put in.
 */
export class FrameDecoder {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #rest = 0;

  /** Returns the pieces in the next bytes. Throws if they are no frames. */
  decode(chunk: Buffer): Piece[] {
    const pieces: Piece[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#rest === 0) {
        at += this.#readHeader(chunk, at);
        continue;
      }
      const end = Math.min(at + this.#rest, chunk.length);
      pieces.push({ source: this.#header[0] === 2 ? "stderr" : "stdout", bytes: chunk.subarray(at, end) });
      this.#rest -= end - at;
      at = end;
    }
    return pieces;
  }

  #readHeader(chunk: Buffer, at: number): number {
    const copied = chunk.copy(this.#header, this.#headerBytes, at);
    this.#headerBytes += copied;
    if (this.#headerBytes < HEADER_BYTES) return copied;
    if (this.#header.readUInt32BE(0) % 0x1000000 !== 0 || this.#header[0]! > 2) {
      throw new Error("The Docker engine sent something other than frames.");
    }
    this.#headerBytes = 0;
    this.#rest = this.#header.readUInt32BE(4);
    return copied;
  }
}
