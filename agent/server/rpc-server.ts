import { rm } from "node:fs/promises";
import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { Duplex } from "node:stream";
import * as grpc from "@grpc/grpc-js";
import { AppError } from "../../proto/index.ts";
import type { ListenConfig } from "../config.ts";
import type { Timeouts } from "../timeouts.ts";
import { requireBearerToken } from "./bearer-token.ts";
import type { GrpcService } from "./grpc-service.ts";

/**
 * With 64 KiB, the default, a caller 20 ms away sends 1.7 MB/s. A stream may get a quarter: so much
 * is held for each tunnel whose program does not read, and there may be 256 of them.
 */
const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024;
const STREAM_WINDOW_BYTES = 1024 * 1024;

export interface RpcServerOptions {
  services: readonly GrpcService[];
  timeouts: Timeouts;
}

/** Serves the same services on a unix socket, on TCP, and on streams that are handed in. */
export class RpcServer {
  readonly #options: RpcServerOptions;
  readonly #servers: grpc.Server[] = [];
  /** For callers that are trusted by the way they come in. */
  readonly #trusted: grpc.Server;
  readonly #injector: ReturnType<grpc.Server["createConnectionInjector"]>;

  constructor(options: RpcServerOptions) {
    this.#options = options;
    this.#trusted = this.#newServer([]);
    this.#injector = this.#trusted.createConnectionInjector(grpc.ServerCredentials.createInsecure());
    widenWindows(this.#trusted);
  }

  /** Serves one connection that somebody else has opened. */
  serve(connection: Duplex): void {
    // Its failure ends the HTTP/2 session, which is where it is dealt with.
    connection.on("error", () => {});
    // HTTP/2 knows no half-closed connection, and Node's own over a stream that is no socket would
    // answer the end with an end, then write, and fail an assertion (js_stream_socket.js doWrite).
    connection.once("end", () => connection.destroy());
    this.#injector.injectConnection(connection);
  }

  /** Listens on a unix socket; one that an agent before has left behind is removed. */
  async listenUnix(path: string): Promise<void> {
    await rm(path, { force: true });
    await bind(this.#trusted, `unix:${path}`);
  }

  /** Listens on TCP for callers with the token. Returns the port. */
  async listenTcp({ host, port, token }: ListenConfig): Promise<number> {
    return await bind(this.#newServer([requireBearerToken(token)]), `${host}:${port}`);
  }

  /** Takes no more calls, lets the running ones end for a moment, then cuts them. */
  async close(): Promise<void> {
    const { drainMs } = this.#options.timeouts;
    this.#injector.drain(drainMs);
    await Promise.all(
      this.#servers.map(async (server) => {
        const drained = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
        const timer = setTimeout(() => server.forceShutdown(), drainMs);
        await drained;
        clearTimeout(timer);
      }),
    );
    this.#injector.destroy();
  }

  #newServer(interceptors: grpc.ServerInterceptor[]): grpc.Server {
    const { services, timeouts } = this.#options;
    const server = new grpc.Server({
      interceptors,
      "grpc.keepalive_time_ms": timeouts.pingIntervalMs,
      "grpc.keepalive_timeout_ms": timeouts.pingTimeoutMs,
      "grpc.enable_channelz": 0,
    });
    for (const { definition, implementation } of services) server.addService(definition, implementation);
    this.#servers.push(server);
    return server;
  }
}

async function bind(server: grpc.Server, address: string): Promise<number> {
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(listenError(address, error));
    });
  });
  widenWindows(server);
  return port;
}

function listenError(address: string, cause: Error): AppError {
  return new AppError("LISTEN_FAILED", `Could not listen on ${address}: ${cause.message}.`, {
    cause,
    metadata: { address },
    help: "Check that the directory exists, or that the port is free.",
  });
}

const widened = new WeakSet<Http2Server>();

/** grpc-js 1.14 has an option for it in its client only; without the private field the defaults stay. */
function widenWindows(server: grpc.Server): void {
  const { http2Servers } = server as unknown as { http2Servers?: unknown };
  if (!(http2Servers instanceof Map)) return;
  for (const http2Server of http2Servers.keys() as Iterable<Http2Server>) {
    if (widened.has(http2Server) || typeof http2Server.on !== "function") continue;
    widened.add(http2Server);
    http2Server.on("session", (session: ServerHttp2Session) => {
      session.settings({ initialWindowSize: STREAM_WINDOW_BYTES });
      session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    });
  }
}
