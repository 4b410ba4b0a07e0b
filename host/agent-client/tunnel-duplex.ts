import { Duplex } from "node:stream";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TunnelRequestSchema } from "../../proto/index.ts";
import type { AgentClient } from "./agent-connection.ts";

/** Most bytes in one message, as the proto says. */
const CHUNK_BYTES = 64 * 1024;

type Request = MessageInitShape<typeof TunnelRequestSchema>;

/**
 * A relayed connection as a stream: what is written goes into the container. Each has HTTP/2 flow
 * control of its own, so a slow end holds up only itself. Destroying it ends the call.
 */
export class TunnelDuplex extends Duplex {
  readonly #abort = new AbortController();
  /** What waits to be taken by the call; its callback runs once it has been. */
  #pending: { request: Request; taken: () => void } | undefined;
  #wake = () => {};
  #resume = () => {};

  constructor(client: AgentClient, connectionId: string) {
    super({ allowHalfOpen: true, readableHighWaterMark: CHUNK_BYTES, writableHighWaterMark: CHUNK_BYTES });
    void this.#receive(client, connectionId).catch((error: unknown) => {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    const send = (offset: number) => {
      if (offset >= chunk.length) return callback();
      this.#put({ data: chunk.subarray(offset, offset + CHUNK_BYTES) }, () => send(offset + CHUNK_BYTES));
    };
    send(0);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#put({ end: true }, callback);
  }

  override _read(): void {
    this.#resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#abort.abort(error ?? undefined);
    this.#wake();
    this.#resume();
    callback(error);
  }

  #put(request: Request, taken: () => void): void {
    this.#pending = { request, taken };
    this.#wake();
  }

  async *#requests(connectionId: string): AsyncGenerator<Request, undefined> {
    yield { connectionId };
    while (!this.destroyed) {
      const pending = this.#pending;
      if (pending === undefined) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      this.#pending = undefined;
      yield pending.request;
      // Asked for the next one: this one has been written.
      pending.taken();
      if (pending.request.end === true) return;
    }
  }

  async #receive(client: AgentClient, connectionId: string): Promise<void> {
    try {
      for await (const { data, end } of client.tunnel(this.#requests(connectionId), { signal: this.#abort.signal })) {
        // A view into a larger buffer: copied, since it may be kept for long.
        if (data.length > 0 && !this.push(Buffer.from(data))) {
          await new Promise<void>((resolve) => (this.#resume = resolve));
        }
        if (end) this.push(null);
        if (this.destroyed) return;
      }
      if (!this.readableEnded) this.push(null);
      // The agent has closed the connection: nobody reads what is still written.
      if (!this.writableFinished) this.destroy();
    } catch (error) {
      if (!this.destroyed) throw error;
    } finally {
      this.#abort.abort();
    }
  }
}
