import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CATALOG } from "./catalog.ts";
import { createMessagesApi } from "./messages-api.ts";
import { RequestLog, type RecordedRequest } from "./request-log.ts";
import type { Scenario } from "./scenario.ts";

export interface ScriptedModelOptions {
  /** Scenarios beside those of the catalog; one with a known name takes its place. */
  readonly scenarios?: readonly Scenario[];
  readonly host?: string;
  /** 0, the default, takes any free port. */
  readonly port?: number;
  /** The one credential that is accepted, as `x-api-key` or bearer token. Undefined accepts everything. */
  readonly key?: string | undefined;
  /** How many requests `requests` keeps. Default 500. */
  readonly keptRequests?: number;
  /** Disposes the server when aborted. */
  readonly signal?: AbortSignal;
}

/** A running Messages API that plays scenarios. Disposing it cuts open replies and frees the port. */
export interface ScriptedModel extends AsyncDisposable {
  /** What to set as ANTHROPIC_BASE_URL. */
  readonly url: string;
  readonly port: number;
  readonly key: string | undefined;
  /** The newest requests, oldest first. */
  readonly requests: readonly RecordedRequest[];
}

/** Starts a scripted model; rejects when the port cannot be had. The caller owns it. */
export async function startScriptedModel(options: ScriptedModelOptions = {}): Promise<ScriptedModel> {
  const { host = "127.0.0.1", port = 0, key, keptRequests = 500, signal } = options;
  signal?.throwIfAborted();
  const closing = new AbortController();
  const log = new RequestLog(keptRequests);
  const scenarios = new Map([...CATALOG, ...(options.scenarios ?? [])].map((scenario) => [scenario.name, scenario]));
  const handle = createMessagesApi({ scenarios, key, log });
  const running = new Set<Promise<void>>();

  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, (request, response) => {
    const exchange = serve(request, response).finally(() => running.delete(exchange));
    running.add(exchange);
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const ended = AbortSignal.any([gone.signal, closing.signal]);
    try {
      await handle(request, response, ended);
    } catch (error) {
      if (!ended.aborted) process.stderr.write(`scripted model: ${String(error)}\n`);
      response.destroy();
    }
  }

  const closed = new Promise<void>((resolve) => server.once("close", () => resolve()));
  function close(): void {
    if (closing.signal.aborted) return;
    closing.abort();
    server.close();
    server.closeAllConnections();
  }

  server.listen(port, host);
  await once(server, "listening");
  signal?.addEventListener("abort", close, { once: true });
  if (signal?.aborted === true) close();
  const address = server.address() as AddressInfo;
  return {
    url: `http://${reachable(address)}:${address.port}`,
    port: address.port,
    key,
    requests: log.entries,
    async [Symbol.asyncDispose]() {
      signal?.removeEventListener("abort", close);
      close();
      await closed;
      await Promise.all(running);
    },
  };
}

/** Longer than any pause of a test: a client that reuses a connection as it is being closed sees a failure nobody scripted. */
const KEEP_ALIVE_MS = 600_000;

function reachable({ address, family }: AddressInfo): string {
  if (address === "0.0.0.0" || address === "::") return "127.0.0.1";
  return family === "IPv6" ? `[${address}]` : address;
}
