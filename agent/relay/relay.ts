import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { AcceptConnectionsResponse_Listener as Listener, AppError, cutChars, TunnelMemory } from "../../proto/index.ts";
import { RelayedConnection } from "./relayed-connection.ts";
import { type Carriage, TakenConnections } from "./taken-connections.ts";

/** Connections that are read, announced or carried at a time: each may hold a little memory. */
const MAX_ACTIVE_CONNECTIONS = 256;
/** Beyond the active ones connections wait unread; beyond this they are refused. */
const MAX_CONNECTIONS = 1024;

/** Connection that waits for a host to carry it out. */
export interface Announcement {
  readonly connectionId: string;
  readonly listener: Listener;
}

/** Ports and waits of a relay. */
export interface RelayOptions {
  /** Loopback port for Claude's requests to the model. 0: any free one, here and below. */
  modelPort: number;
  /** Loopback port of the proxy. */
  proxyPort: number;
  /** Loopback port for git. */
  gitPort: number;
  /** Time that a host has for opening a tunnel for an announced connection (ms). */
  takeMs: number;
  /** Time that a resumable connection without its call waits for another (ms). */
  keepMs: number;
  /** Called at the first bytes of each connection to the model. */
  onModelRequest(): void;
}

/**
 * Relay of the connections that programs in the container want to have outside. It holds them until a host carries them
 * out.
 */
export class Relay implements AsyncDisposable {
  readonly modelPort: number;
  readonly proxyPort: number;
  readonly gitPort: number;
  /** Number of connections that a host had taken and that broke before both sides had ended them. */
  cutCount = 0;
  readonly #servers: readonly Server[];
  readonly #takeMs: number;
  readonly #onModelRequest: () => void;
  readonly #memory = new TunnelMemory();
  readonly #taken: TakenConnections;
  readonly #sockets = new Set<Socket>();
  /** Accepted, but beyond the number of active ones. */
  readonly #parked: { socket: Socket; listener: Listener }[] = [];
  readonly #active = new Set<RelayedConnection>();
  /** Active and not taken yet, oldest first. */
  readonly #waiting = new Map<string, RelayedConnection>();
  readonly #announcers = new Set<() => void>();
  #count = 0;

  private constructor(servers: { model: Server; proxy: Server; git: Server }, options: RelayOptions) {
    this.#servers = Object.values(servers);
    this.#takeMs = options.takeMs;
    this.#taken = new TakenConnections({ keepMs: options.keepMs, onCut: () => (this.cutCount += 1) });
    this.#onModelRequest = options.onModelRequest;
    this.modelPort = (servers.model.address() as AddressInfo).port;
    this.proxyPort = (servers.proxy.address() as AddressInfo).port;
    this.gitPort = (servers.git.address() as AddressInfo).port;
    servers.model.on("connection", (socket: Socket) => this.#accept(socket, Listener.MODEL));
    servers.proxy.on("connection", (socket: Socket) => this.#accept(socket, Listener.PROXY));
    servers.git.on("connection", (socket: Socket) => this.#accept(socket, Listener.GIT));
  }

  /** Listens on all ports. Throws PORT_UNAVAILABLE. */
  static async listen(options: RelayOptions): Promise<Relay> {
    const servers: Server[] = [];
    const open = async (port: number) => {
      const server = await listenOn(port);
      servers.push(server);
      return server;
    };
    try {
      const model = await open(options.modelPort);
      const proxy = await open(options.proxyPort);
      return new Relay({ model, proxy, git: await open(options.gitPort) }, options);
    } catch (error) {
      for (const server of servers) server.close();
      throw error;
    }
  }

  /** Yields every connection that waits, and each new one, until the signal is aborted. */
  async *announcements({ signal }: { signal: AbortSignal }): AsyncGenerator<Announcement> {
    /** With a timer each: what a host is told of and does not take, it does not want. */
    const announced = new Map<string, NodeJS.Timeout>();
    let wake = () => {};
    const announce = () => wake();
    this.#announcers.add(announce);
    signal.addEventListener("abort", announce);
    try {
      while (!signal.aborted) {
        const next = [...this.#waiting.values()].find(({ id }) => !announced.has(id));
        if (next !== undefined) {
          const forget = () => this.#waiting.get(next.id)?.reset();
          announced.set(next.id, setTimeout(forget, this.#takeMs));
          yield { connectionId: next.id, listener: next.listener };
          continue;
        }
        for (const [id, timer] of announced) {
          if (this.#waiting.has(id)) continue;
          clearTimeout(timer);
          announced.delete(id);
        }
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#announcers.delete(announce);
      signal.removeEventListener("abort", announce);
      for (const timer of announced.values()) clearTimeout(timer);
    }
  }

  /** Gives a waiting connection to a call, or a resumable one to another call. Throws CONNECTION_NOT_FOUND. */
  take(connectionId: string, { resumable = false }: { resumable?: boolean } = {}): Carriage {
    const connection = this.#waiting.get(connectionId) ?? (resumable ? this.#taken.find(connectionId) : undefined);
    if (connection === undefined) {
      throw new AppError("CONNECTION_NOT_FOUND", `There is no connection "${cutChars(connectionId, 64)}" that waits.`, {
        metadata: { connection_id: cutChars(connectionId, 64) },
        help: "Its program may have given up; wait for the next announcement.",
      });
    }
    this.#waiting.delete(connectionId);
    connection.take();
    return this.#taken.carry(connection, { resumable });
  }

  /** Keeps these of the resumable connections, and no other: a host has come, and says which it carries on. */
  keepOnly(connectionIds: readonly string[]): void {
    this.#taken.keepOnly(connectionIds);
  }

  /** Cuts every connection and frees the ports. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    this.#parked.length = 0;
    this.#taken.clear();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await Promise.all(closed);
  }

  #accept(socket: Socket, listener: Listener): void {
    this.#sockets.add(socket);
    // A parked socket has no other listener yet, and an unheard error would end the agent.
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
    if (this.#active.size >= MAX_ACTIVE_CONNECTIONS) this.#parked.push({ socket, listener });
    else this.#activate(socket, listener);
  }

  #admit(): void {
    for (let next = this.#parked.shift(); next !== undefined; next = this.#parked.shift()) {
      if (!next.socket.destroyed) return this.#activate(next.socket, next.listener);
    }
  }

  #activate(socket: Socket, listener: Listener): void {
    const connection = new RelayedConnection(socket, {
      id: `${Listener[listener].toLowerCase()}-${++this.#count}`,
      listener,
      memory: this.#memory,
      onFirstBytes: () => listener === Listener.MODEL && this.#onModelRequest(),
      onAbandoned: () => connection.reset(),
      onClosed: () => {
        this.#active.delete(connection);
        this.#waiting.delete(connection.id);
        this.#admit();
      },
    });
    this.#active.add(connection);
    this.#waiting.set(connection.id, connection);
    for (const announce of this.#announcers) announce();
  }
}

async function listenOn(port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (cause) {
    throw new AppError("PORT_UNAVAILABLE", `Could not listen on 127.0.0.1:${port}.`, {
      cause,
      metadata: { port: String(port) },
      help: "Another program has the port; set CLAUDECLUSTER_MODEL_PORT, CLAUDECLUSTER_PROXY_PORT or CLAUDECLUSTER_GIT_PORT.",
    });
  }
  return server;
}
