import { rm } from "node:fs/promises";
import type { Duplex } from "node:stream";
import * as grpc from "@grpc/grpc-js";
import { AppError } from "../../proto/index.ts";
import type { ListenConfig } from "../config.ts";
import type { Timeouts } from "../timeouts.ts";
import { within } from "../wait.ts";
import { requireBearerToken } from "./bearer-token.ts";
import type { GrpcService } from "./grpc-service.ts";
import { Http2Sessions } from "./http2-sessions.ts";

/** Services and waits of a server. */
export interface RpcServerOptions {
  services: readonly GrpcService[];
  timeouts: Timeouts;
}

/** Server of the same services on a unix socket, on TCP, and on streams that are handed in. */
export class RpcServer {
  readonly #options: RpcServerOptions;
  readonly #servers: grpc.Server[] = [];
  readonly #sessions: Http2Sessions;
  readonly #streams = new Set<Duplex>();
  /** For callers that are trusted by the way they come in. */
  readonly #trusted: grpc.Server;
  readonly #injector: ReturnType<grpc.Server["createConnectionInjector"]>;

  constructor(options: RpcServerOptions) {
    this.#options = options;
    const { pingIntervalMs: pingMs, pingTimeoutMs: answerMs } = options.timeouts;
    this.#sessions = new Http2Sessions({ pingMs, answerMs });
    this.#trusted = this.#newServer([]);
    this.#injector = this.#trusted.createConnectionInjector(grpc.ServerCredentials.createInsecure());
    this.#sessions.watch(this.#trusted);
  }

  /** Serves a connection that somebody else has opened. */
  serve(connection: Duplex): void {
    // Its failure ends the HTTP/2 session, which is where it is dealt with.
    connection.on("error", () => {});
    this.#streams.add(connection);
    connection.once("close", () => this.#streams.delete(connection));
    // HTTP/2 knows no half-closed connection, and Node's own over a stream that is no socket would
    // answer the end with an end, then write, and fail an assertion (js_stream_socket.js doWrite).
    connection.once("end", () => connection.destroy());
    this.#injector.injectConnection(connection);
  }

  /** Listens on a unix socket. One that an earlier agent left behind is removed. */
  async listenUnix(path: string): Promise<void> {
    await rm(path, { force: true });
    await bind(this.#trusted, `unix:${path}`);
    this.#sessions.watch(this.#trusted);
  }

  /** Listens on TCP for callers with the token. Returns the port. */
  async listenTcp({ host, port, token }: ListenConfig): Promise<number> {
    const server = this.#newServer([requireBearerToken(token)]);
    const bound = await bind(server, `${host}:${port}`);
    this.#sessions.watch(server);
    return bound;
  }

  /** Takes no more calls, lets the running ones end for a moment, then cuts them. */
  async close(): Promise<void> {
    const { drainMs } = this.#options.timeouts;
    const closed = Promise.all(
      this.#servers.map((server) => new Promise<void>((resolve) => server.tryShutdown(() => resolve()))),
    );
    if (await within(closed, drainMs)) return;
    this.#sessions.destroy();
    for (const server of this.#servers) server.forceShutdown();
    for (const stream of this.#streams) stream.destroy();
    await within(closed, drainMs);
  }

  #newServer(interceptors: grpc.ServerInterceptor[]): grpc.Server {
    const { services } = this.#options;
    const server = new grpc.Server({ interceptors, "grpc.enable_channelz": 0 });
    for (const { definition, implementation } of services) server.addService(definition, implementation);
    this.#servers.push(server);
    return server;
  }
}

function bind(server: grpc.Server, address: string): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(listenError(address, error));
    });
  });
}

function listenError(address: string, cause: Error): AppError {
  return new AppError("LISTEN_FAILED", `Could not listen on ${address}: ${cause.message}.`, {
    cause,
    metadata: { address },
    help: "Check that the directory exists, or that the port is free.",
  });
}
