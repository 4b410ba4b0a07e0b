import { once } from "node:events";
import { lstatSync, rmSync } from "node:fs";
import { type IncomingMessage, STATUS_CODES, type Server, type ServerResponse, createServer } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import { AppError } from "../../proto/index.ts";
import { listenError } from "../address.ts";
import { EngineClient } from "./engine-client.ts";
import { FilteredCalls, type FilterRules } from "./filtered-calls.ts";
import { joinStreams } from "./join-streams.ts";
import { readBody, readUpgradeBody } from "./read-body.ts";
import { readCall } from "./read-call.ts";
import { statusOf } from "./refused.ts";

/** Two for each running session, one more for each call. */
const MAX_CONNECTIONS = 1024;
const MAX_HEADER_BYTES = 8 * 1024;
const HEADERS_MS = 10_000;
/** As long as an archive may come. */
const REQUEST_MS = 10 * 60_000;

/** Sockets of a filter, and what it lets through. */
export interface EngineFilterOptions extends FilterRules {
  /** Path of the socket to make, in a directory that holds nothing else. */
  listen: string;
  /** Path of the engine's socket. */
  engine: string;
  logger: Logger;
}

/**
 * Filter between the host and the Docker engine. It passes on what sessions need and nothing else: their containers,
 * made as the host makes them, and calls on these. Every request is read whole, checked and written anew. If the engine
 * is not reached, the host's connection breaks, as it would without the filter.
 */
export class EngineFilter implements AsyncDisposable {
  readonly #server: Server;
  readonly #calls: FilteredCalls;
  readonly #logger: Logger;
  readonly #connections = new Set<Duplex>();

  private constructor({ engine, ...rules }: EngineFilterOptions) {
    this.#logger = rules.logger;
    this.#calls = new FilteredCalls(new EngineClient(engine), rules);
    this.#server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.maxRequestsPerSocket = 1;
    this.#server.on("connection", (socket) => {
      this.#connections.add(socket);
      socket.once("close", () => this.#connections.delete(socket));
    });
    this.#server.on("request", (request, response) => void this.#answer(request, response));
    this.#server.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket, head));
  }

  /**
   * Resolves once the filter listens, for its own user alone. The socket of a former filter is replaced. Throws
   * LISTEN_FAILED.
   */
  static async open(options: EngineFilterOptions): Promise<EngineFilter> {
    const filter = new EngineFilter(options);
    const { listen } = options;
    try {
      if (lstatSync(listen, { throwIfNoEntry: false })?.isSocket()) rmSync(listen);
      const mask = process.umask(0o177);
      try {
        filter.#server.listen(listen);
      } finally {
        process.umask(mask);
      }
      await once(filter.#server, "listening");
    } catch (error) {
      throw listenError(listen, error as NodeJS.ErrnoException);
    }
    return filter;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const send = (status: number, json: unknown) => {
      const text = json === undefined ? "" : JSON.stringify(json);
      response.writeHead(status, { "content-type": "application/json", connection: "close" }).end(text);
    };
    try {
      const call = readCall(request.method ?? "", request.url ?? "");
      const options = { signal: gone.signal };
      if (call.kind === "fill") {
        const { status, json } = await this.#calls.fill(call, request, options);
        return send(status, json);
      }
      const answer = await this.#calls.pass(call, await readBody(request), options);
      if ("json" in answer) return send(answer.status, answer.json);
      response.writeHead(answer.status, { connection: "close" });
      answer.stream.once("error", () => response.destroy()).pipe(response);
    } catch (error) {
      if (gone.signal.aborted) return;
      if (this.#report(request, error)) send(statusOf(error), { message: error.message });
      else response.destroy();
    }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const gone = new AbortController();
    socket.on("error", () => {}).once("close", () => gone.abort()); // An error is told by "close".
    const send = (status: number, headers: string[], text: string) => {
      socket.write([`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...headers, "", text].join("\r\n"));
    };
    const refuse = (status: number, json: unknown) => {
      const text = JSON.stringify(json ?? {});
      const length = `content-length: ${Buffer.byteLength(text)}`;
      send(status, ["content-type: application/json", length, "connection: close"], text);
      socket.end(() => socket.destroy());
    };
    try {
      const call = readCall(request.method ?? "", request.url ?? "");
      const body = await readUpgradeBody(request, socket, head);
      const answer = await this.#calls.startExec(call, body, { signal: gone.signal });
      if ("status" in answer) return refuse(answer.status, answer.json);
      send(101, ["connection: Upgrade", "upgrade: tcp", "content-type: application/vnd.docker.raw-stream"], "");
      joinStreams(socket, answer);
    } catch (error) {
      if (gone.signal.aborted) return;
      if (this.#report(request, error)) refuse(statusOf(error), { message: error.message });
      else socket.destroy();
    }
  }

  /** Logs why a call fails; true if the caller is to be told. */
  #report({ method, url = "" }: IncomingMessage, error: unknown): error is AppError {
    const about = { method, path: url.split("?")[0]?.slice(0, 200) };
    if (!(error instanceof AppError)) {
      this.#logger.warn({ ...about, err: error }, "the engine does not answer");
      return false;
    }
    const ordinary = error.kind === "NOT_FOUND";
    this.#logger[ordinary ? "debug" : "warn"]({ ...about, why: error.message }, "call refused");
    return true;
  }
}
