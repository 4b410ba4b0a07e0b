/** Input that is read by numbers of bytes, whatever the pieces are in which it comes. */
export class ExactInput {
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #cut: () => Error;
  #rest: Buffer = Buffer.alloc(0);

  /** `cut` makes what is thrown where the input ends too early. */
  constructor(source: AsyncIterable<Buffer>, { cut }: { cut: () => Error }) {
    this.#pieces = source[Symbol.asyncIterator]();
    this.#cut = cut;
  }

  /** Resolves with so many bytes. */
  async read(size: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of this.take(size)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** Yields so many bytes. */
  async *take(size: number): AsyncGenerator<Buffer, undefined> {
    for (let left = size; left > 0;) {
      if (await this.atEnd()) throw this.#cut();
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  /** Resolves with whether nothing is left. It waits for the next piece. */
  async atEnd(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#pieces.next();
      if (done === true) return true;
      this.#rest = value;
    }
    return false;
  }
}
