import { connect, type Socket } from "node:net";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { HostService, SessionService } from "../../proto/control.ts";
import { SafeHttp2SessionManager, WINDOW_BYTES } from "../rpc/safe-session-manager.ts";

/** A host that is frozen is noticed after at most twice this (ms). */
const PING_MS = 15_000;
/** A session with every file of a large repository changed. */
const READ_MAX_BYTES = 64 * 1024 * 1024;

/**
 * Client of a host's services over its private socket. It connects at the first call, and again at the first call after
 * a loss. The connection stays open until the client is disposed of, so that the host knows that somebody is there.
 */
export class ControlClient implements Disposable {
  readonly sessions: Client<typeof SessionService>;
  readonly host: Client<typeof HostService>;
  readonly #manager: SafeHttp2SessionManager;

  /** Takes the socket's path, or a function that is asked for it at every connection. */
  constructor(socketPath: string | (() => string)) {
    this.#manager = new SafeHttp2SessionManager(
      "http://host",
      {
        pingIntervalMs: PING_MS,
        pingTimeoutMs: PING_MS,
        pingIdleConnection: true,
        idleConnectionTimeoutMs: 2 ** 31 - 1,
      },
      {
        settings: { initialWindowSize: WINDOW_BYTES },
        createConnection: () => openSocket(typeof socketPath === "string" ? socketPath : socketPath()),
      },
    );
    const transport = createGrpcTransport({
      baseUrl: "http://host",
      sessionManager: this.#manager,
      acceptCompression: [],
      readMaxBytes: READ_MAX_BYTES,
    });
    this.sessions = createClient(SessionService, transport);
    this.host = createClient(HostService, transport);
  }

  [Symbol.dispose](): void {
    this.#manager.abort();
  }
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
