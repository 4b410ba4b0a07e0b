import type { Http2Server, ServerHttp2Session } from "node:http2";
import type * as grpc from "@grpc/grpc-js";
import { type SilenceOptions, watchSilence } from "../../proto/index.ts";

/**
 * With 64 KiB, the default, a caller 20 ms away sends 1.7 MB/s. A stream gets a quarter: so much is
 * held for each tunnel whose program does not read, and there may be 256 of them.
 */
const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024;
const STREAM_WINDOW_BYTES = 1024 * 1024;

/**
 * HTTP/2 sessions of grpc-js servers, with wider windows, and cut where their caller is silent. grpc-js 1.14 has none
 * of this: its option for windows is for clients, its servers do not end their sessions when forced to, and its
 * keepalive cuts callers whose answer is not read yet.
 *
 * A private field of grpc-js gives the sessions. Without it windows stay as they are, and sessions end with the
 * process.
 */
export class Http2Sessions {
  readonly #silence: SilenceOptions;
  readonly #watched = new WeakSet<Http2Server>();
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(silence: SilenceOptions) {
    this.#silence = silence;
  }

  /**
   * Watches the sessions on the addresses that the server is bound to. It must be called again after each new address.
   */
  watch(server: grpc.Server): void {
    const { http2Servers } = server as unknown as { http2Servers?: unknown };
    if (!(http2Servers instanceof Map)) return;
    for (const http2Server of http2Servers.keys() as Iterable<Http2Server>) {
      if (this.#watched.has(http2Server) || typeof http2Server.on !== "function") continue;
      this.#watched.add(http2Server);
      http2Server.on("session", (session: ServerHttp2Session) => this.#add(session));
    }
  }

  /** Cuts all sessions. */
  destroy(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #add(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    session.settings({ initialWindowSize: STREAM_WINDOW_BYTES });
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    watchSilence(session, this.#silence, () => session.destroy());
  }
}
