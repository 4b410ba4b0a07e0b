import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  type AcceptConnectionsResponse_Listener as Listener,
  ACKNOWLEDGE_BYTES,
  AppError,
  Notifier,
  TUNNEL_WINDOW_BYTES,
  type TunnelMemory,
  UnacknowledgedBytes,
} from "../../proto/index.ts";

/** Proto: at most this many bytes a message. */
const MAX_DATA_BYTES = 64 * 1024;

/** Name of a connection, and what its changes call. */
export interface RelayedConnectionOptions {
  id: string;
  listener: Listener;
  /** Memory that all connections of the relay share. */
  memory: TunnelMemory;
  /** Called when the first bytes have come. */
  onFirstBytes(): void;
  /** Called when the program gives up before a host took the connection. */
  onAbandoned(): void;
  /** Called when the connection is gone, for any reason. */
  onClosed(): void;
}

/** Message to the host from the call that carries a connection. */
export interface OutwardMessage {
  /** Bytes of the program's. */
  data?: Uint8Array;
  /** Whether the program has ended its direction. */
  end?: boolean;
  /** Number of the host's bytes that the program has taken. */
  receivedSizeBytes?: bigint;
}

/**
 * Connection of a program to one of the loopback listeners. A little of it is read ahead, so that its end is noticed
 * while it waits for a host; the kernel keeps the rest. The program's bytes are held until the host has them.
 */
export class RelayedConnection {
  readonly id: string;
  readonly listener: Listener;
  readonly #socket: Socket;
  readonly #out: UnacknowledgedBytes;
  /** Bytes for the program: given to the socket, and taken by it. */
  #givenBytes = 0;
  #takenBytes = 0;
  #endGiven = false;
  #ended = false;
  #taken = false;
  #closed = false;
  #cut = false;
  #failure: AppError | undefined;
  /** Told of every change. */
  readonly #changes = new Notifier();

  constructor(socket: Socket, options: RelayedConnectionOptions) {
    this.id = options.id;
    this.listener = options.listener;
    this.#socket = socket;
    this.#out = new UnacknowledgedBytes(options.memory);
    const forgetRoom = options.memory.onRoom(() => this.#resumeReading());
    socket.setNoDelay(true);
    socket.once("data", options.onFirstBytes);
    socket.on("data", (chunk: Buffer) => {
      this.#out.append(chunk);
      if (!this.#out.roomy) socket.pause();
      this.#changes.notify();
    });
    socket.once("end", () => {
      this.#ended = true;
      // HTTP clients do not half-close: this one has given up, and must not cost a model request later.
      if (!this.#taken) options.onAbandoned();
      this.#changes.notify();
    });
    // Its "close" follows.
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#closed = true;
      if (!this.endedWell) {
        this.#failure ??= new AppError("CONNECTION_CLOSED", `Connection ${this.id} was closed in the container.`, {
          metadata: { connection_id: this.id },
        });
      }
      if (!this.#taken) this.forget();
      forgetRoom();
      options.onClosed();
      this.#changes.notify();
    });
    socket.resume();
  }

  /** Marks it as taken: the program's end is only a half-close from here on. */
  take(): void {
    this.#taken = true;
  }

  /** Whether the program's socket is gone. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the agent has reset it. */
  get cut(): boolean {
    return this.#cut;
  }

  /** Whether both sides have ended, and the program has been given everything. */
  get endedWell(): boolean {
    return this.#ended && this.#endGiven && this.#socket.writableFinished;
  }

  /** Number of bytes that the program's socket has taken. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Returns whether the program's bytes are held from this number on. */
  holds(from: number): boolean {
    return this.#out.holds(from);
  }

  /** Notes that the host has the program's bytes up to this number. */
  acknowledge(upTo: number): void {
    this.#out.acknowledge(upTo);
    this.#resumeReading();
  }

  /**
   * Yields the messages to the host: the program's bytes from number `from` on, their end, and how many of the host's
   * bytes were taken. Returns when both sides have ended. Throws CONNECTION_CLOSED if the program goes before, and the
   * signal's reason.
   */
  async *messages(from: number, signal: AbortSignal): AsyncGenerator<OutwardMessage> {
    let position = from;
    let told = this.#takenBytes;
    let endTold = false;
    let rested = false;
    // Once, and not for each message: listeners of signals cost more than all else here.
    const wake = () => this.#changes.notify();
    signal.addEventListener("abort", wake);
    try {
      for (;;) {
        signal.throwIfAborted();
        const data = this.#out.holds(position) ? this.#out.read(position, MAX_DATA_BYTES) : undefined;
        const taken = this.#takenBytes;
        const hasData = (data?.length ?? 0) > 0;
        if (!hasData && !rested && taken >= told + ACKNOWLEDGE_BYTES) {
          // What else has come by now is acknowledged with it.
          rested = true;
          await nextTurn();
        } else if (hasData || taken >= told + ACKNOWLEDGE_BYTES) {
          rested = false;
          told = taken;
          position += data?.length ?? 0;
          yield { ...(data !== undefined && { data }), receivedSizeBytes: BigInt(taken) };
        } else if (this.#failure !== undefined) {
          throw this.#failure;
        } else if (this.#ended && !endTold) {
          endTold = true;
          yield { end: true };
        } else if (endTold && this.#closed) {
          return;
        } else {
          await this.#changes.next();
        }
      }
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }

  /**
   * Gives the program bytes, the first of which has number `from`. Bytes that it has had are left out. Throws
   * CONNECTION_CLOSED if the program has gone.
   */
  write(data: Uint8Array, from = this.#givenBytes): void {
    if (this.#failure !== undefined) throw this.#failure;
    const fresh = data.subarray(Math.min(data.length, this.#givenBytes - from));
    if (fresh.length === 0) return;
    this.#givenBytes += fresh.length;
    this.#socket.write(fresh, (error) => {
      if (error) return;
      this.#takenBytes += fresh.length;
      this.#changes.notify();
    });
  }

  /** Resolves when the program has taken what it was given. Throws CONNECTION_CLOSED if it goes before. */
  async drained(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const settle = () => {
        this.#socket.off("drain", settle).off("close", settle);
        if (this.#failure === undefined) resolve();
        else reject(this.#failure);
      };
      if (this.#failure !== undefined || !this.#socket.writableNeedDrain) return settle();
      this.#socket.on("drain", settle).on("close", settle);
    });
  }

  /** Whether the program has been given more than it takes in time: more than a host may have under way. */
  get overfull(): boolean {
    return this.#socket.writableLength > TUNNEL_WINDOW_BYTES;
  }

  /** Ends the direction towards the program. */
  end(): void {
    if (this.#endGiven) return;
    this.#endGiven = true;
    this.#socket.end();
  }

  /** Whether the host has ended its direction. */
  get endGiven(): boolean {
    return this.#endGiven;
  }

  /** Cuts the connection, so that the program sees a failure and not a short answer. */
  reset(): void {
    this.#cut = true;
    if (!this.#socket.destroyed) this.#socket.resetAndDestroy();
    this.forget();
  }

  /** Frees the bytes that are held: nobody will ask for them. */
  forget(): void {
    this.#out.clear();
  }

  #resumeReading(): void {
    if (this.#out.roomy && !this.#ended) this.#socket.resume();
  }
}
