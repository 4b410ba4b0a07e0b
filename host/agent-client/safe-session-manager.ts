import type { ClientHttp2Stream } from "node:http2";
import { Http2SessionManager } from "@connectrpc/connect-node";

/** Bytes that the agent may send before we have read them, for a stream and for the connection. */
export const WINDOW_BYTES = 4 * 1024 * 1024;

/**
 * connect-node's session manager, made safe for connections that are not sockets.
 *
 * From 24.20 on, Node's async iterator of an HTTP/2 stream that has closed with data still
 * buffered throws ERR_STREAM_PREMATURE_CLOSE (https://github.com/nodejs/node/issues/65677); over a
 * plain Duplex that fails most short answers. So the listeners are attached at once and the
 * iterator is replaced by a read loop.
 */
export class SafeHttp2SessionManager extends Http2SessionManager {
  readonly #guarded = new WeakSet<object>();

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
      // Its ping timer may fire between a session's destruction and its close; Node throws then.
      const ping = session.ping.bind(session) as (...pingArgs: unknown[]) => boolean;
      session.ping = (...pingArgs: unknown[]) => !session.destroyed && ping(...pingArgs);
    }
    makeIterable(stream);
    return stream;
  }
}

function makeIterable(stream: ClientHttp2Stream): void {
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
  const read = async function* (): AsyncGenerator<Buffer, undefined> {
    try {
      for (;;) {
        const chunk = stream.read() as Buffer | null;
        if (chunk !== null) {
          yield chunk;
          continue;
        }
        if (failure !== undefined) throw failure;
        if (ended || closed) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      if (!ended && !closed) stream.destroy();
    }
  };
  Object.defineProperty(stream, Symbol.asyncIterator, { value: read, configurable: true });
}
