import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { isIPv6, type Socket } from "node:net";
import { type Duplex, pipeline } from "node:stream";
import type { EgressDecision } from "../egress-decision.ts";
import { type Destination, type EgressRules, findDestination, parseAuthority, type Resolve } from "../egress-rules.ts";
import { bodyFraming, endToEndHeaders, endWith, exchange, guard, statusOf } from "../http-exchange.ts";
import { openTunnel } from "./tunnel.ts";
import { type Agents, openThroughProxy, type WayOut } from "../way-out.ts";

/** Rules and limits of a session's proxy. */
export interface ProxyGatewayOptions {
  egress: EgressRules;
  /** Most bytes that the session may send and receive through the proxy, together. */
  maxEgressBytes: number;
  wayOut: WayOut;
  /** Agents that bound the connections to hosts of plain HTTP: a container may pipeline any number of requests. */
  agents: Agents;
  /** Called with every decision. */
  onDecision: (decision: EgressDecision) => void;
  /** Called with bytes that went out or came in. Default: nobody counts. */
  onBytes?: ((count: number) => void) | undefined;
  /** Takes requests to the proxy itself. Default: they are refused. */
  own?: RequestListener | undefined;
  /** Function that resolves names. Default: the system's. */
  resolve?: Resolve;
}

/** Connections to the outside that a session has at once; package managers have about fifteen. */
const MAX_TUNNELS = 64;
/** Over plain HTTP anybody on the way can read and change what passes: it is for packages that are signed. */
const PLAIN_METHODS = new Set(["GET", "HEAD"]);

/**
 * Returns an HTTP proxy for what runs in a container: it does CONNECT to the destinations that the rules allow,
 * absolute-form requests to those that speak plain HTTP, and nothing else.
 */
export function createProxyGateway(options: ProxyGatewayOptions): Server {
  const gateway = new ProxyGateway(options);
  const server = createServer((request, response) =>
    exchange(request, response, () => {
      if (options.own !== undefined && request.url?.startsWith("/")) return options.own(request, response);
      gateway.forward(request, response).catch(() => response.destroy());
    }),
  );
  server.on("connect", (request, socket, head) => {
    // It may fail at any time.
    socket.on("error", () => {});
    gateway.connect(request, socket, head).catch(() => socket.destroy());
  });
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.timeout = 0;
  return server;
}

/** Where a connection may go. */
type Place = Exclude<Destination, { refused: string }>;

class ProxyGateway {
  readonly #options: ProxyGatewayOptions;
  #tunnelCount = 0;
  #bytes = 0;

  constructor(options: ProxyGatewayOptions) {
    this.#options = options;
  }

  async connect(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { egress } = this.#options;
    const authority = parseAuthority(request.url ?? "");
    const destination = await this.#decide(authority);
    if (socket.destroyed) return;
    if ("refused" in destination) return answer(socket, 403, refusal(authority, destination.refused));
    if (this.#tunnelCount >= MAX_TUNNELS) return answer(socket, 503, `More than ${MAX_TUNNELS} connections at once`);
    this.#tunnelCount++;
    socket.once("close", () => this.#tunnelCount--);
    openTunnel({
      socket,
      head,
      destination,
      dial: this.#dial(authority!, destination),
      mayHideName: egress.open && !egress.allowedPrivate.has(authority!),
      onConnected: () => socket.write("HTTP/1.1 200 Connection Established\r\n\r\n"),
      onFailed: (reason) => answer(socket, 502, `ClaudeCluster could not reach ${authority}${reason}`),
      onRefused: (reason) => this.#tell(authority, reason),
      onBytes: (count) => this.#count(authority, count),
    });
  }

  async forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const raw = request.url ?? "";
    const url = URL.canParse(raw) ? new URL(raw) : undefined;
    const authority =
      url?.protocol === "http:" ? parseAuthority(`${url.hostname}:${url.port === "" ? 80 : url.port}`) : undefined;
    const destination = await this.#decide(authority, request.method);
    // A response that waits for the one before it is not told that the connection has gone.
    if (response.destroyed || request.socket.destroyed) return;
    if ("refused" in destination || url === undefined) {
      request.resume();
      const text = refusal(authority, "refused" in destination ? destination.refused : "");
      response.writeHead(403, text, { "content-type": "text/plain" }).end(`${text}\n`);
      return;
    }
    const { wayOut, agents } = this.#options;
    const { method } = request;
    const headers = { ...endToEndHeaders(request.headers), ...bodyFraming(request), host: url.host };
    const upstream =
      wayOut.proxyFor(url) === undefined
        ? httpRequest({
            host: destination.address,
            port: destination.port,
            method,
            path: url.pathname + url.search,
            headers,
            agent: agents.http,
          })
        : wayOut.request(
            new URL(`http://${this.#placeFor(authority!, destination)}${url.pathname}${url.search}`),
            { method, headers },
            agents,
          );
    upstream.on("response", (received) => {
      received.on("data", (chunk: Buffer) => this.#count(authority, chunk.length) || upstream.destroy());
      guard(response, () => {
        response.writeHead(statusOf(received), endToEndHeaders(received.headers));
        pipeline(received, response, () => {});
      });
    });
    upstream.on("error", () => {
      if (response.headersSent) response.destroy();
      else
        response.writeHead(502, { "content-type": "text/plain" }).end(`ClaudeCluster could not reach ${url.host}.\n`);
    });
    endWith(request, response, upstream);
    request.on("data", (chunk: Buffer) => this.#count(authority, chunk.length) || upstream.destroy());
    pipeline(request, upstream, () => {});
  }

  async #decide(authority: string | undefined, plainMethod?: string): Promise<Destination> {
    const { egress, resolve } = this.#options;
    let destination: Destination;
    if (authority === undefined) destination = { refused: "not a host and port" };
    else if (plainMethod !== undefined && !egress.allowedPrivate.has(authority) && !PLAIN_METHODS.has(plainMethod)) {
      destination = { refused: "over plain HTTP only GET and HEAD are passed on" };
    } else if (plainMethod === undefined && authority.endsWith(":80") && isOnlyListed(authority, egress)) {
      // What it carries would not be looked at: any method, and any host of those that share the address.
      destination = { refused: "plain HTTP is not tunnelled" };
    } else {
      const proxied = this.#proxyFor(authority, plainMethod === undefined ? "https:" : "http:") !== undefined;
      destination = await findDestination(authority, egress, { resolve, proxied });
    }
    this.#tell(authority, "refused" in destination ? destination.refused : "");
    return destination;
  }

  /** Tunnels go by the proxy for https, whatever they carry. */
  #proxyFor(authority: string, protocol: "https:" | "http:"): URL | undefined {
    return this.#options.wayOut.proxyFor({ protocol, ...splitAuthority(authority) });
  }

  #dial(authority: string, destination: Place): (() => Promise<Socket>) | undefined {
    const proxy = this.#proxyFor(authority, "https:");
    return proxy === undefined ? undefined : () => openThroughProxy(proxy, this.#placeFor(authority, destination));
  }

  /** What a proxy is asked for. What nobody has listed it does not look up: the address that was checked is dialled. */
  #placeFor(authority: string, { address, port }: Place): string {
    const { allowed, allowedPrivate } = this.#options.egress;
    if (address === undefined || allowed.has(authority) || allowedPrivate.has(authority)) return authority;
    return `${isIPv6(address) ? `[${address}]` : address}:${port}`;
  }

  #tell(authority: string | undefined, reason: string): void {
    this.#options.onDecision({ destination: authority ?? "(malformed)", allowed: reason === "", reason });
  }

  /** False once the session has sent and received all that it may. */
  #count(authority: string | undefined, count: number): boolean {
    const { maxEgressBytes } = this.#options;
    const before = this.#bytes;
    this.#bytes += count;
    this.#options.onBytes?.(count);
    if (this.#bytes <= maxEgressBytes) return true;
    if (before <= maxEgressBytes) this.#tell(authority, `the session has moved ${maxEgressBytes} bytes`);
    return false;
  }
}

function splitAuthority(authority: string): { hostname: string; port: string } {
  const colon = authority.lastIndexOf(":");
  return { hostname: authority.slice(0, colon), port: authority.slice(colon + 1) };
}

function isOnlyListed(authority: string, { open, allowedPrivate }: EgressRules): boolean {
  return !open && !allowedPrivate.has(authority);
}

/** What a refused tool is told, as status text too: most print nothing but the status line. */
function refusal(authority: string | undefined, reason: string): string {
  return `Refused by ClaudeCluster: ${authority ?? "the destination"}, ${reason}`;
}

function answer(socket: Duplex, status: number, text: string): void {
  const head = `HTTP/1.1 ${status} ${text}\r\nContent-Type: text/plain\r\nContent-Length: ${text.length + 1}`;
  socket.end(`${head}\r\nConnection: close\r\n\r\n${text}\n`);
}
