import { chmod } from "node:fs/promises";
import { type ContextValues, createConnectRouter } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { Logger } from "pino";
import { AppError } from "../../proto/index.ts";
import { DirectoryService, HostService, SessionService } from "../../proto/control.ts";
import { cached } from "../cached.ts";
import type { Audit } from "../callers/audit.ts";
import type { Callers } from "../callers/callers.ts";
import type { Sessions } from "../session/sessions.ts";
import { type AnyRequest, type AnyResponse, AnyHttpServer } from "./any-http-server.ts";
import { auditCalls } from "./audit-calls.ts";
import { callerOf as readCaller, localCaller, remoteCaller, requireAuthorization, tokenInvalid } from "./caller.ts";
import { sendErrors, toConnectError } from "./control-error.ts";
import { type DirectoryOptions, directoryService } from "./directory-service.ts";
import { noteResponse } from "./direct-stream.ts";
import { type HostControl, hostService } from "./host-service.ts";
import { answerProbe, isProbe, type ProbeRequest } from "./probes.ts";
import { sessionService } from "./session-service.ts";
import { addStandardServices } from "./standard-services.ts";
import type { UploadTaker } from "./upload-snapshot.ts";

/** Clients take a stream without a word for this long for a lost one, several times over (ms). */
const HEARTBEAT_MS = 5_000;
/** For answers that are on their way when the host ends (ms). */
const DRAIN_MS = 1_000;
/** For what a caller without a token had on its way (ms). */
const REFUSED_MS = 1_000;
/** A request holds a task and its variables at most. */
const READ_MAX_BYTES = 8 * 1024 * 1024;

/** Sessions, uploads and host that are served. */
export interface ControlServerOptions {
  sessions: Sessions;
  uploads: UploadTaker;
  host: HostControl;
  /** Directories of this machine, for its user. Default: DirectoryService is not served. */
  directories?: Omit<DirectoryOptions, "sessions" | "closing">;
  logger: Logger;
  /** Time without a message after which a stream has a heartbeat (ms). Default: 5 s. */
  heartbeatMs?: number;
  /** Record of the calls over TCP. Default: none. */
  audit?: Audit;
  /** Called whenever a connection has come or gone. */
  onConnections?: () => void;
}

/** Address on TCP, and who may call there. */
export interface TcpAddress {
  host: string;
  port: number;
  callers: Callers;
  /** Names of this server that a probe may ask for beside loopback's and addresses. Default: none. */
  allowedHosts?: readonly string[];
}

/** Strangers ask whether it is ready, and that writes to the disk: at most this often (ms). */
const READY_MS = 1_000;

type Handle = (request: AnyRequest, response: AnyResponse) => void;

/**
 * Server of the control API, with health and reflection: gRPC, gRPC-web and Connect on every address. Closing it ends
 * every call with HOST_CLOSING, and does nothing to the sessions.
 */
export class ControlServer implements AsyncDisposable {
  readonly #options: ControlServerOptions;
  readonly #closing = new AbortController();
  readonly #handlers: Map<string, ReturnType<typeof createConnectRouter>["handlers"][number]>;
  readonly #servers: AnyHttpServer[] = [];
  readonly #probed: ProbeRequest["host"];

  constructor(options: ControlServerOptions) {
    this.#options = options;
    const { sessions, uploads, host, directories, logger, audit, heartbeatMs = HEARTBEAT_MS } = options;
    const closing = this.#closing.signal;
    this.#probed = { info: cached(READY_MS, () => host.info()), metrics: () => host.metrics() };
    const router = createConnectRouter({
      // Compressing costs six times what it saves on a local socket.
      acceptCompression: [],
      readMaxBytes: READ_MAX_BYTES,
      // A restriction that is misspelt would be none.
      jsonOptions: { ignoreUnknownFields: false },
      interceptors: [sendErrors(logger), ...(audit ? [auditCalls(audit)] : []), requireAuthorization],
      shutdownSignal: closing,
    });
    router.service(SessionService, sessionService({ sessions, uploads, heartbeatMs, closing, logger }));
    router.service(HostService, hostService(host));
    if (directories) router.service(DirectoryService, directoryService({ ...directories, sessions, closing }));
    const services = [SessionService, HostService, ...(directories ? [DirectoryService] : [])];
    addStandardServices(router, services, { closing });
    this.#handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  }

  /** Number of callers' connections, on all addresses. */
  get connectionCount(): number {
    return this.#servers.reduce((count, server) => count + server.connectionCount, 0);
  }

  /** Listens on a unix socket for this user. The socket's directory must be private. */
  async listenUnix(path: string): Promise<void> {
    await this.#listen({ path }, localCaller);
    await chmod(path, 0o600);
  }

  /** Listens on TCP for callers with a token. Returns the port. */
  listenTcp({ host, port, callers, allowedHosts }: TcpAddress): Promise<number> {
    const callerOf = (request: AnyRequest) => remoteCaller(callers.find(request.headers.authorization));
    return this.#listen({ host, port }, callerOf, allowedHosts ?? []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new AppError("HOST_CLOSING", "The host is shutting down.", { retryable: true }));
    await Promise.all(this.#servers.map((server) => server.close({ graceMs: DRAIN_MS })));
  }

  async #listen(
    address: { path: string } | { host: string; port: number },
    callerOf: (request: AnyRequest) => ContextValues,
    allowedHosts: readonly string[] = [],
  ): Promise<number> {
    const { onConnections } = this.#options;
    const server = new AnyHttpServer(this.#handle(callerOf, allowedHosts), { onConnections });
    const port = await server.listen(address);
    this.#servers.push(server);
    return port;
  }

  /** Serves a call that has come in another way, from a caller who is known. */
  serve(request: AnyRequest, response: AnyResponse, caller: ContextValues): void {
    this.#serve(pathOf(request), request, response, () => caller);
  }

  /** connect-node's own adapter writes to the console whatever goes wrong with a caller that has gone. */
  #handle(callerOf: (request: AnyRequest) => ContextValues, allowedHosts: readonly string[]): Handle {
    return (request, response) => {
      const path = pathOf(request);
      if (isProbe(path)) {
        const caller = readCaller(callerOf(request));
        const { logger } = this.#options;
        void answerProbe(path, { request, response, caller, allowedHosts, host: this.#probed, logger });
        return;
      }
      this.#serve(path, request, response, () => callerOf(request));
    };
  }

  #serve(path: string, request: AnyRequest, response: AnyResponse, callerOf: () => ContextValues): void {
    const handler = this.#handlers.get(path);
    if (handler === undefined) {
      response.statusCode = 404;
      response.end();
      return;
    }
    const serve = async () => {
      const caller = callerOf();
      noteResponse(caller, response);
      let universal = universalRequestFromNodeRequest(request, response, undefined, caller);
      const { authorized, remote } = readCaller(caller);
      if (remote !== undefined) endWith(remote.revoked, response);
      if (!authorized) {
        // Nothing of it is read: not even its length is a stranger's to choose.
        universal = { ...universal, body: refusedBody() };
        response.once("finish", () => letGo(request));
        this.#options.audit?.refused({ way: "control", method: handler.method.name });
      }
      await universalResponseToNodeResponse(await handler(universal), response);
    };
    serve().catch((error: unknown) => {
      this.#options.logger.debug({ err: error, method: handler.method.name }, "call broke off");
      response.destroy();
    });
  }
}

function pathOf({ url = "" }: AnyRequest): string {
  return url.split("?", 1)[0]!;
}

/** Cuts a call once its caller may not call any more. Other calls of the connection may be somebody else's. */
function endWith(revoked: AbortSignal, response: AnyResponse): void {
  const cut = () => response.destroy();
  revoked.addEventListener("abort", cut, { once: true });
  response.once("close", () => revoked.removeEventListener("abort", cut));
}

/** Throws away what a caller still sends, so that they get to read the answer; not for long. */
function letGo(request: AnyRequest): void {
  if (request.readableEnded || request.destroyed) return;
  const timer = setTimeout(() => request.destroy(), REFUSED_MS);
  request.once("end", () => clearTimeout(timer)).once("close", () => clearTimeout(timer));
  request.resume();
}

/** In the place of a request of a caller that may not call: to read it is to be told so, in whatever the caller speaks. */
async function* refusedBody(): AsyncGenerator<Uint8Array> {
  yield await Promise.reject<Uint8Array>(toConnectError(tokenInvalid()));
}
