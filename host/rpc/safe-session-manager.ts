import type { ClientHttp2Stream, Http2Session } from "node:http2";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { Turns } from "./turns.ts";

/** Window of HTTP/2: bytes that the other end may send before we have read them. For a stream, and for the connection. */
export const WINDOW_BYTES = 4 * 1024 * 1024;

/**
 * What is handed on at once (bytes). As many messages as fit are handled without a look at anything else, and an agent may
 * send thousands that hold nothing: while these take long it becomes less.
 */
const SLICE_BYTES = { first: 1024, min: 1024, max: 64 * 1024 };

/**
 * Session manager of connect-node, made safe for connections that are not sockets.
 *
 * From 24.20 on, Node's async iterator of an HTTP/2 stream that has closed with data still
 * buffered throws ERR_STREAM_PREMATURE_CLOSE (https://github.com/nodejs/node/issues/65677); over a
 * plain Duplex that fails most short answers. So the listeners are attached at once and the
 * iterator is replaced by a read loop. The loops of a session also give the host's other work its turn every 5 ms, even while
 * an agent floods us on all of its streams.
 */
export class SafeHttp2SessionManager extends Http2SessionManager {
  readonly #guarded = new WeakSet<object>();
  readonly #turns = new Turns();
  /** Callback that gets each session, with its first request. Default: none. */
  onSession: (session: Http2Session) => void = () => {};

  override async request(
    ...args: Parameters<Http2SessionManager["request"]>
  ): ReturnType<Http2SessionManager["request"]> {
    const stream = await super.request(...args);
    const session = stream.session;
    if (session !== undefined && !this.#guarded.has(session)) {
      this.#guarded.add(session);
      // connect-node drops its own listener before a dying session has emitted its error.
      session.on("error", () => {});
      session.setLocalWindowSize(WINDOW_BYTES);
      // A timer of connect-node's may ping a session that is gone, above all one that was asked to end; Node throws then.
      const ping = session.ping.bind(session) as (...pingArgs: unknown[]) => boolean;
      session.ping = (...pingArgs: unknown[]) => !session.destroyed && ping(...pingArgs);
      this.onSession(session);
    }
    makeIterable(stream, this.#turns);
    return stream;
  }
}

function makeIterable(stream: ClientHttp2Stream, turns: Turns): void {
  let ended = false;
  let closed = false;
  let failure: Error | undefined;
  let wake = () => {};
  stream.on("readable", () => wake());
  stream.on("end", () => {
    ended = true;
    wake();
  });
  stream.on("error", (error) => {
    failure ??= error;
    wake();
  });
  stream.on("close", () => {
    closed = true;
    wake();
  });
  const iterator = (): AsyncIterableIterator<Buffer, undefined> => {
    // No generator: one that waits holds what it has yielded last, which may be 64 KiB for each connection that rests.
    let rest: Buffer | undefined;
    let sliceBytes = SLICE_BYTES.first;
    const nextChunk = async (): Promise<Buffer | undefined> => {
      for (;;) {
        const chunk = stream.read() as Buffer | null;
        if (chunk !== null) return chunk;
        if (failure !== undefined) throw failure;
        if (ended || closed) return undefined;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    let begun = false;
    const reader: AsyncIterableIterator<Buffer, undefined> = {
      [Symbol.asyncIterator]: () => reader,
      async next() {
        if (begun && !turns.over) sliceBytes = Math.min(2 * sliceBytes, SLICE_BYTES.max);
        else if (begun) {
          sliceBytes = Math.max(sliceBytes / 2, SLICE_BYTES.min);
          await turns.next();
        }
        rest ??= await nextChunk();
        begun = rest !== undefined;
        if (rest === undefined) return { done: true, value: undefined };
        const value = rest.subarray(0, sliceBytes);
        rest = value.length < rest.length ? rest.subarray(value.length) : undefined;
        return { done: false, value };
      },
      return() {
        if (!ended && !closed) stream.destroy();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
    return reader;
  };
  Object.defineProperty(stream, Symbol.asyncIterator, { value: iterator, configurable: true });
}
