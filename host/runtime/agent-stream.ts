import { Duplex } from "node:stream";
import { AppError } from "../../proto/index.ts";

/** Function that takes the reader's bytes out of what arrives. */
export type Decode = (chunk: Buffer) => Buffer[];

/**
 * Byte stream to an agent over some other stream. It reads no faster than its reader, and writes no faster than the
 * other end. `end()` closes our half only. An unexpected end destroys it with CONNECTION_LOST, once everything that had
 * arrived has been read.
 */
export class AgentStream extends Duplex {
  readonly #carrier: Duplex;
  readonly #decode: Decode;
  #wanted = false;
  #lost: Error | undefined;

  constructor(carrier: Duplex, decode: Decode = (chunk) => [chunk]) {
    super({ allowHalfOpen: true });
    this.#carrier = carrier;
    this.#decode = decode;
    carrier.on("readable", () => this.#pull());
    carrier.on("end", () => this.#carrierEnded());
    carrier.on("error", (error) => this.#lose(error));
    carrier.on("close", () => this.#carrierEnded());
  }

  override _read(): void {
    this.#wanted = true;
    this.#pull();
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    if (this.#lost !== undefined) this.#destroyOnceRead();
    return chunk;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#send((done) => this.#carrier.write(chunk, done), callback);
  }

  override _writev(chunks: { chunk: Buffer }[], callback: () => void): void {
    this.#carrier.cork();
    for (const { chunk } of chunks.slice(0, -1)) this.#carrier.write(chunk);
    const last = chunks.at(-1);
    if (last !== undefined) this.#send((done) => this.#carrier.write(last.chunk, done), callback);
    this.#carrier.uncork();
  }

  override _final(callback: () => void): void {
    this.#send((done) => this.#carrier.end(done), callback);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#carrier.destroy();
    callback(error);
  }

  /** A write that fails is left open: what has arrived is read first, then the stream is destroyed. */
  #send(send: (done: (error?: Error | null) => void) => void, callback: () => void): void {
    if (this.#lost !== undefined) return;
    send((error) => (error ? this.#lose(error) : callback()));
  }

  #pull(): void {
    while (this.#wanted && !this.destroyed) {
      const chunk = this.#carrier.read() as Buffer | null;
      if (chunk === null) return;
      try {
        for (const bytes of this.#decode(chunk)) if (!this.push(bytes)) this.#wanted = false;
      } catch (error) {
        this.destroy(connectionLost(error));
      }
    }
  }

  #carrierEnded(): void {
    if (this.writableEnded && this.#lost === undefined) this.push(null);
    else this.#lose();
  }

  #lose(cause?: unknown): void {
    this.#lost ??= connectionLost(cause);
    this.#destroyOnceRead();
  }

  #destroyOnceRead(): void {
    if (this.readableLength > 0 || this.#carrier.readableLength > 0) return;
    const lost = this.#lost;
    // Not at once: what was read last has yet to reach its reader.
    process.nextTick(() => this.destroy(lost));
  }
}

function connectionLost(cause: unknown): AppError {
  return new AppError("CONNECTION_LOST", "The connection to the agent is lost.", {
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}
