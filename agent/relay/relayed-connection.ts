import type { Socket } from "node:net";
import type { AcceptConnectionsResponse_Listener as Listener } from "../../proto/index.ts";
import { AppError } from "../../proto/index.ts";

/** What is read ahead of the host, for each connection (bytes). */
const READ_AHEAD_BYTES = 64 * 1024;

export interface RelayedConnectionOptions {
  id: string;
  listener: Listener;
  /** The first bytes have come. */
  onFirstBytes(): void;
  /** The program in the container is not interested any more, before a host took the connection. */
  onAbandoned(): void;
  /** The connection is gone, whatever the reason. */
  onClosed(): void;
}

/**
 * A program's connection to one of the loopback listeners. It is read a little ahead, so that its
 * end is noticed while it waits for a host; the rest stays with the kernel.
 */
export class RelayedConnection {
  readonly id: string;
  readonly listener: Listener;
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  #heldBytes = 0;
  #ended = false;
  #taken = false;
  #failure: AppError | undefined;
  #wake = () => {};

  constructor(socket: Socket, options: RelayedConnectionOptions) {
    this.id = options.id;
    this.listener = options.listener;
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.once("data", options.onFirstBytes);
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#heldBytes += chunk.length;
      if (this.#heldBytes >= READ_AHEAD_BYTES) socket.pause();
      this.#wake();
    });
    socket.once("end", () => {
      this.#ended = true;
      // HTTP clients do not half-close: this one has given up, and must not cost a model request later.
      if (!this.#taken) options.onAbandoned();
      this.#wake();
    });
    // Its "close" follows.
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#failure ??= new AppError("CONNECTION_CLOSED", `Connection ${this.id} was closed in the container.`, {
        kind: "ABORTED",
        metadata: { connection_id: this.id },
      });
      options.onClosed();
      this.#wake();
    });
    socket.resume();
  }

  /** From here on its end is a half-close and nothing more. */
  take(): void {
    this.#taken = true;
  }

  /** Yields what the program writes, up to its end. Throws CONNECTION_CLOSED if it goes before. */
  async *read(): AsyncGenerator<Buffer> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        yield chunk;
        // Only now is there room: what has been yielded was still on its way.
        this.#heldBytes -= chunk.length;
        if (this.#heldBytes < READ_AHEAD_BYTES && !this.#ended) this.#socket.resume();
      } else if (this.#ended) {
        return;
      } else if (this.#failure !== undefined) {
        throw this.#failure;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }

  /** Resolves when there is room for more. Throws CONNECTION_CLOSED if the program has gone. */
  async write(data: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const settle = () => {
        this.#socket.off("drain", settle).off("close", settle);
        if (this.#failure === undefined) resolve();
        else reject(this.#failure);
      };
      if (this.#failure !== undefined) return settle();
      if (this.#socket.write(data)) return resolve();
      this.#socket.on("drain", settle).on("close", settle);
    });
  }

  /** No more bytes follow towards the program. */
  end(): void {
    this.#socket.end();
  }

  /** Resolves once everything has been written and both sides have ended, or the program has gone. */
  async finished(): Promise<void> {
    if (!this.#socket.closed) await new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
  }

  /** Cuts the connection, so that the program sees a failure and not a short answer. */
  reset(): void {
    if (!this.#socket.destroyed) this.#socket.resetAndDestroy();
  }
}
