import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import { createServer, type ListenOptions, type Socket } from "node:net";
import { listenError } from "../address.ts";

/** Request of either version of HTTP, as connect-node takes it. */
export type AnyRequest = IncomingMessage | Http2ServerRequest;
/** Response of either version of HTTP. */
export type AnyResponse = ServerResponse | Http2ServerResponse;

/** The first bytes of a HTTP/2 connection that is not negotiated by TLS. */
const PREFACE = "PRI";
/** Limits of what callers may hold without a call. */
export interface ConnectionLimits {
  /** A connection that has not said by then what it speaks is cut (ms). */
  firstBytesMs: number;
  /** One of HTTP/1.1 that has not said by then what it asks for is cut: after it has come, and after an answer (ms). */
  headersMs: number;
  /** Connections on TCP at once. More are cut as they come. */
  connections: number;
}

/** More than honest callers need, and less than the system lets a process have. */
const LIMITS: ConnectionLimits = { firstBytesMs: 10_000, headersMs: 60_000, connections: 1000 };
/** Bytes that a caller may send before we have read them, for a stream, and for a connection on TCP. */
const WINDOW_BYTES = 1024 * 1024;

/**
 * Server of HTTP/2 and HTTP/1.1 without TLS on one address. gRPC needs the one, browsers and curl the other, and Node
 * serves both on one port with TLS only. They are told apart by their first bytes.
 */
export class AnyHttpServer {
  readonly #http2: ReturnType<typeof createHttp2Server>;
  readonly #http1: ReturnType<typeof createHttp1Server>;
  readonly #server: ReturnType<typeof createServer>;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Connections of HTTP/1.1: how many requests of each are under way, and what cuts it if no other one comes. */
  readonly #plain = new Map<Socket, { answering: number; silent: NodeJS.Timeout | undefined }>();
  readonly #limits: ConnectionLimits;
  readonly #onConnections: () => void;
  /** It listens on a unix socket. */
  #local = false;

  /** Makes a server. `onConnections` is called whenever a connection has come or gone. */
  constructor(
    handle: (request: AnyRequest, response: AnyResponse) => void,
    {
      onConnections = () => {},
      ...limits
    }: Partial<ConnectionLimits> & { onConnections?: (() => void) | undefined } = {},
  ) {
    this.#onConnections = onConnections;
    this.#limits = { ...LIMITS, ...limits };
    this.#http2 = createHttp2Server({ settings: { initialWindowSize: WINDOW_BYTES } }, handle);
    this.#http2.on("session", (session) => {
      // Node reads nothing from a connection while a write of it is under way: with Node at both ends, and more on its way in
      // both directions than the kernel takes, each would wait for the other, for ever. A unix socket takes the 64 KiB of
      // HTTP/2's own window, and has no delay for which it would need more.
      if (!this.#local) session.setLocalWindowSize(WINDOW_BYTES);
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
    });
    this.#http1 = createHttp1Server(handle);
    this.#http1.on("request", ({ socket }, response) => {
      const plain = this.#plain.get(socket);
      if (plain === undefined) return;
      plain.answering += 1;
      clearTimeout(plain.silent);
      response.once("close", () => {
        plain.answering -= 1;
        if (plain.answering > 0) return;
        if (this.#server.listening) this.#waitForRequest(socket);
        else socket.destroy();
      });
    });
    // A watched session may be silent for as long as it likes.
    this.#http1.requestTimeout = 0;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  get connectionCount(): number {
    return this.#sockets.size;
  }

  /** Listens. Returns the port, 0 for a unix socket. Throws LISTEN_FAILED. */
  async listen(address: ListenOptions): Promise<number> {
    this.#local = address.path !== undefined;
    await new Promise<void>((resolve, reject) => {
      if (!this.#local) this.#server.maxConnections = this.#limits.connections;
      this.#server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(nameOf(address), error)));
      this.#server.listen(address, resolve);
    });
    const bound = this.#server.address();
    return typeof bound === "object" && bound !== null ? bound.port : 0;
  }

  /** Takes no more connections, lets running calls end for `graceMs`, then cuts them. */
  async close(options: { graceMs: number }): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const [socket, { answering }] of this.#plain) if (answering === 0) socket.destroy();
    const timer = setTimeout(() => this.#destroyAll(), options.graceMs);
    for (const session of this.#sessions) session.close();
    await closed;
    clearTimeout(timer);
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    this.#onConnections();
    socket.once("close", () => {
      this.#sockets.delete(socket);
      clearTimeout(this.#plain.get(socket)?.silent);
      this.#plain.delete(socket);
      this.#onConnections();
    });
    // Dealt with where the connection is used; before that it needs no dealing with.
    socket.on("error", () => {});
    const silent = setTimeout(() => socket.destroy(), this.#limits.firstBytesMs);
    let first = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      first = Buffer.concat([first, chunk]);
      const start = first.toString("latin1", 0, PREFACE.length);
      if (start.length < PREFACE.length && PREFACE.startsWith(start)) return;
      clearTimeout(silent);
      socket.off("data", onData);
      socket.pause();
      socket.unshift(first);
      if (start === PREFACE) this.#http2.emit("connection", socket);
      else {
        this.#plain.set(socket, { answering: 0, silent: undefined });
        this.#waitForRequest(socket);
        this.#http1.emit("connection", socket);
        // The parser reads what has been put back, then goes on by itself.
        socket.resume();
      }
    };
    socket.on("data", onData);
    socket.once("close", () => clearTimeout(silent));
  }

  /** Node looks for slow headers only where it listens itself. */
  #waitForRequest(socket: Socket): void {
    const plain = this.#plain.get(socket);
    if (plain === undefined) return;
    clearTimeout(plain.silent);
    plain.silent = setTimeout(() => socket.destroy(), this.#limits.headersMs);
  }

  #destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

function nameOf({ path, host, port }: ListenOptions): string {
  return path ?? `${host ?? ""}:${port ?? ""}`;
}
