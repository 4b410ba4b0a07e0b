import { connect, type Socket } from "node:net";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { DirectoryService, HostService, SessionService } from "../../proto/control.ts";
import { SafeHttp2SessionManager, WINDOW_BYTES } from "../rpc/safe-session-manager.ts";

/** A host that is frozen is noticed after at most twice this (ms). */
const PING_MS = 15_000;
/** A session with every file of a large repository changed. */
const READ_MAX_BYTES = 64 * 1024 * 1024;

/** Address of a host's control API on TCP. */
export interface TcpAddress {
  /** Origin, such as https://host.example:8812. */
  url: string;
  /** Returns the bearer token. */
  token: () => Promise<string>;
}

/**
 * Client of a host's services over its private socket, or over TCP. It connects at the first call, and again at the first call after
 * a loss. The connection stays open until the client is disposed of, so that the host knows that somebody is there.
 */
export class ControlClient implements Disposable {
  readonly sessions: Client<typeof SessionService>;
  readonly host: Client<typeof HostService>;
  readonly directories: Client<typeof DirectoryService>;
  readonly #manager: SafeHttp2SessionManager;

  /** Takes the socket's path, a function that is asked for it at every connection, or an address on TCP. */
  constructor(target: string | (() => string) | TcpAddress) {
    const tcp = typeof target === "object" ? target : undefined;
    const socketPath = typeof target === "function" ? target : () => String(target);
    const baseUrl = tcp?.url ?? "http://host";
    this.#manager = new SafeHttp2SessionManager(
      baseUrl,
      {
        pingIntervalMs: PING_MS,
        pingTimeoutMs: PING_MS,
        pingIdleConnection: true,
        idleConnectionTimeoutMs: 2 ** 31 - 1,
      },
      {
        settings: { initialWindowSize: WINDOW_BYTES },
        ...(tcp === undefined && { createConnection: () => openSocket(socketPath()) }),
      },
    );
    const transport = createGrpcTransport({
      baseUrl,
      interceptors: tcp === undefined ? [] : [showing(tcp.token)],
      sessionManager: this.#manager,
      acceptCompression: [],
      readMaxBytes: READ_MAX_BYTES,
    });
    this.sessions = createClient(SessionService, transport);
    this.host = createClient(HostService, transport);
    this.directories = createClient(DirectoryService, transport);
  }

  [Symbol.dispose](): void {
    this.#manager.abort();
  }
}

/** Interceptor that shows the token with every call. */
function showing(token: () => Promise<string>): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", `Bearer ${await token()}`);
    return await next(request);
  };
}

/**
 * Connects to a socket. A path that no socket can have has failed already when Node returns: HTTP/2 takes that for a
 * connection, and connect-node would ask for the next one for ever without a pause.
 */
function openSocket(path: string): Socket {
  const socket = connect(path);
  if (!socket.destroyed) return socket;
  socket.on("error", () => {}); // It comes later, and is thrown here.
  throw socket.errored ?? new Error(`${path} cannot be connected to.`);
}
