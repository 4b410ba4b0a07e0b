import { Duplex } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  ACKNOWLEDGE_BYTES,
  afterRunning,
  AppError,
  hasOwnMemory,
  type TunnelMemory,
  type TunnelRequestSchema,
  UnacknowledgedBytes,
} from "../../proto/index.ts";
import type { AgentClient } from "./agent-connection.ts";
import { agentError, connectionLost } from "./agent-error.ts";

/** Most bytes in one message, as the proto says. */
const CHUNK_BYTES = 64 * 1024;

/** How long an agent may take to end the call of a connection that was cut. */
const CUT_MS = 5000;

type Request = MessageInitShape<typeof TunnelRequestSchema>;

/** Memory and waits of a tunnel. */
export interface TunnelOptions {
  connectionId: string;
  /** Memory of the session for bytes into the container. */
  memory: TunnelMemory;
  /** Memory of the session for unread bytes out of the container. While it is full nothing more is taken in. */
  unread: TunnelMemory;
  /** Time that a tunnel without a connection to the agent waits for another (ms). */
  keepMs: number;
  /** Called when nothing is left to be carried. */
  onOver(): void;
}

/** One call that carries it. */
interface Call {
  readonly abort: AbortController;
  /** The number of the first byte out of the container that it brings. */
  readonly from: number;
  /** The agent has answered. */
  answered: boolean;
  /** The agent keeps the connection if the call is lost. */
  resumable: boolean;
  /** The number of the next byte that goes into the container. */
  position: number;
  wake(): void;
}

/**
 * Relayed connection as a stream: what is written goes into the container. One call after the other carries it. When a
 * call is lost, the next one goes on with the bytes that the agent lacks, and neither end notices; with an agent that
 * cannot do that, the stream is destroyed. Destroying it cuts the connection.
 */
export class TunnelDuplex extends Duplex {
  readonly connectionId: string;
  readonly #options: TunnelOptions;
  /** What was written and the agent does not have. */
  readonly #in: UnacknowledgedBytes;
  readonly #forgetRoom: (() => void)[];
  /**
   * What came out of the container and was not asked for. It is not the stream that holds it: a stream that was destroyed
   * keeps its bytes for as long as anybody keeps the stream, and each of a thousand pieces of one byte as an object.
   */
  readonly #out: UnacknowledgedBytes;
  /** Bytes out of the container, in all. */
  #receivedBytes = 0;
  /** The reader wants more. */
  #asked = false;
  #endReceived = false;
  /** Nothing follows what is held. */
  #outOver = false;
  #endWritten = false;
  #cut = false;
  #over = false;
  #call: Call | undefined;
  #written: (() => void) | undefined;
  #resume = () => {};
  #giveUp = () => {};
  #cutOff = () => {};

  constructor(options: TunnelOptions) {
    super({ allowHalfOpen: true, readableHighWaterMark: 1, writableHighWaterMark: CHUNK_BYTES });
    this.connectionId = options.connectionId;
    this.#options = options;
    this.#in = new UnacknowledgedBytes(options.memory);
    this.#out = new UnacknowledgedBytes(options.unread);
    this.#forgetRoom = [options.memory.onRoom(() => this.#goOnWriting()), options.unread.onRoom(() => this.#resume())];
    // Whoever reads or writes sees the error too; without a listener it would end the process.
    this.on("error", () => {});
  }

  /** Carries the stream by one call, until the call ends. Never rejects. */
  async carry(client: AgentClient, { signal }: { signal: AbortSignal }): Promise<void> {
    this.#giveUp();
    this.#call?.abort.abort();
    const abort = new AbortController();
    const call: Call = { abort, from: this.#readBytes, answered: false, resumable: true, position: 0, wake: () => {} };
    this.#call = call;
    this.#resume();
    try {
      const callSignal = AbortSignal.any([signal, abort.signal]);
      await this.#receive(client.tunnel(this.#requests(call), { signal: callSignal }), call);
      if (this.#call !== call) return;
      this.#finish();
      this.#endOut();
      // The agent has closed the connection: nobody reads what is still written.
      if (!this.writableFinished) this.destroy();
    } catch (error) {
      if (this.#call !== call) return;
      const lost = agentError(error);
      if (lost.reason === "CONNECTION_LOST" && call.resumable && !this.#cut) return this.#waitForAnother();
      this.#finish();
      this.destroy(error instanceof Error ? error : lost);
    } finally {
      abort.abort();
      call.wake();
    }
  }

  /** Stops to wait for another call. */
  abandon(): void {
    this.destroy();
    this.#finish();
  }

  /** Bytes that the agent need not keep: they have been read. */
  get #readBytes(): number {
    return this.#receivedBytes - this.#out.heldBytes - this.readableLength;
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.#in.append(chunk);
    this.#written = callback;
    this.#goOnWriting();
    this.#call?.wake();
  }

  override _final(callback: () => void): void {
    this.#endWritten = true;
    this.#call?.wake();
    callback();
  }

  override _read(): void {
    this.#asked = true;
    this.#passOn();
    this.#resume();
    // There may be something to acknowledge.
    this.#call?.wake();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // Otherwise both ends have been said, and what is still on its way arrives.
    if (!(this.#endWritten && this.#endReceived)) {
      this.#cut = true;
      // The agent is told by a call that goes on, or sees that there is none.
      if (this.#call?.resumable === true) this.#cutOff = afterRunning(CUT_MS, () => this.#end());
      else this.#end();
    }
    this.#out.clear();
    this.#call?.wake();
    this.#resume();
    callback(error);
  }

  #takesMore(call: Call): boolean {
    if (this.#asked || this.destroyed || this.#call !== call) return true;
    return call.resumable ? !this.#options.unread.full : this.#out.heldBytes === 0;
  }

  #takeOut(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.destroyed || this.#outOver) return;
    // It may be kept for long: in a larger buffer it is not.
    if (this.#asked && this.#out.heldBytes === 0) this.#give(hasOwnMemory(bytes) ? bytes : Buffer.from(bytes));
    else this.#out.append(bytes);
  }

  /** Gives the reader what it asks for. */
  #passOn(): void {
    while (this.#asked && this.#out.heldBytes > 0) {
      const from = this.#out.totalBytes - this.#out.heldBytes;
      const next = this.#out.read(from, CHUNK_BYTES);
      this.#out.acknowledge(from + next.length);
      this.#give(next);
    }
    if (this.#outOver && this.#out.heldBytes === 0) this.push(null);
  }

  #give(bytes: Uint8Array): void {
    this.#asked = false;
    const more = this.push(bytes);
    // It may have asked before that returned.
    this.#asked ||= more;
  }

  #endOut(): void {
    if (this.#outOver) return;
    this.#outOver = true;
    this.#passOn();
  }

  #goOnWriting(): void {
    const written = this.#written;
    if (written === undefined || !this.#in.roomy) return;
    this.#written = undefined;
    written();
  }

  #acknowledged(upTo: number): void {
    this.#in.acknowledge(upTo);
    this.#goOnWriting();
  }

  async *#requests(call: Call): AsyncGenerator<Request, undefined> {
    let told = call.from;
    let endSaid = false;
    let rested = false;
    yield { connectionId: this.connectionId, resumable: true, receivedSizeBytes: BigInt(told) };
    while (!call.abort.signal.aborted) {
      const data =
        call.answered && this.#in.holds(call.position) ? this.#in.read(call.position, CHUNK_BYTES) : Buffer.alloc(0);
      const read = this.#readBytes;
      const due = read >= told + ACKNOWLEDGE_BYTES || (this.#endReceived && read > told);
      if (call.resumable && this.#cut) {
        yield { reset: true };
        return;
      } else if (data.length === 0 && !rested && call.answered && call.resumable && due) {
        // What else is read by then is acknowledged with it.
        rested = true;
        await nextTurn();
      } else if (data.length > 0 || (call.answered && call.resumable && due)) {
        rested = false;
        call.position += data.length;
        told = read;
        yield call.resumable ? { data, receivedSizeBytes: BigInt(read) } : { data };
        // Asked for the next one: this one has been written.
        if (!call.resumable) this.#acknowledged(call.position);
      } else if (call.answered && this.#endWritten && !endSaid) {
        endSaid = true;
        yield { end: true };
      } else if (endSaid && (!call.resumable || (this.#endReceived && read === told))) {
        return;
      } else {
        await new Promise<void>((resolve) => (call.wake = resolve));
      }
    }
  }

  async #receive(responses: AsyncIterable<{ data: Uint8Array } & Answer>, call: Call): Promise<void> {
    /** What comes again, since it was not acknowledged. */
    let again = this.#receivedBytes - call.from;
    for await (const { data, end, resumable, receivedSizeBytes } of responses) {
      if (this.#call !== call) return;
      if (!call.answered) {
        call.resumable = resumable;
        call.position = Number(receivedSizeBytes);
        if (!this.#in.holds(call.position)) throw unsent();
        call.answered = true;
      }
      if (call.resumable) this.#acknowledged(Number(receivedSizeBytes));
      call.wake();
      const fresh = data.subarray(Math.min(again, data.length));
      again -= data.length - fresh.length;
      // Behind what nobody reads there may be acknowledgements, without which nothing may be written.
      while (fresh.length > 0 && !this.#takesMore(call)) await new Promise<void>((resolve) => (this.#resume = resolve));
      // Then it comes again by the next one.
      if (this.#call !== call) return;
      this.#receivedBytes += fresh.length;
      this.#takeOut(fresh);
      if (end) {
        this.#endReceived = true;
        this.#endOut();
      }
    }
  }

  #waitForAnother(): void {
    this.#call = undefined;
    if (this.#over) return;
    this.#giveUp = afterRunning(this.#options.keepMs, () => {
      this.#finish();
      this.destroy(connectionLost());
    });
  }

  #end(): void {
    this.#call?.abort.abort();
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#call = undefined;
    this.#giveUp();
    this.#cutOff();
    for (const forget of this.#forgetRoom) forget();
    this.#in.clear();
    this.#options.onOver();
  }
}

function unsent(): AppError {
  return new AppError("AGENT_INVALID", "The agent says that it has received what it was not sent.", {
    help: "Use an image with an agent that keeps to the contract.",
  });
}

interface Answer {
  end: boolean;
  resumable: boolean;
  receivedSizeBytes: bigint;
}
