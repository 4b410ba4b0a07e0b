import {
  type Agent,
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type Server,
  type ServerResponse,
} from "node:http";
import { connect } from "node:net";
import { type Duplex, pipeline } from "node:stream";

import { endToEndHeaders, endWith, exchange, guard, statusOf } from "./http-exchange.ts";

export interface ProxyGatewayOptions {
  /** Exact "host:port" entries, in lower case. */
  allowed: ReadonlySet<string>;
  /** Bounds the connections to hosts that speak plain HTTP: a container may pipeline any number of requests. */
  agent: Agent;
  /** Told of every decision. */
  onDecision: (decision: { destination: string; allowed: boolean; reason: string }) => void;
}

/** How long a destination may take to accept a connection. */
const CONNECT_TIMEOUT_MS = 15_000;

/**
 * An HTTP proxy for what runs in a container: CONNECT to the listed hosts and ports, absolute-form
 * requests to the listed ones that speak plain HTTP, and nothing else.
 */
export function createProxyGateway(options: ProxyGatewayOptions): Server {
  const server = createServer((request, response) =>
    exchange(request, response, () => forwardRequest(request, response, options)),
  );
  server.on("connect", (request, socket, head) => guard(socket, () => tunnel(request, socket, head, options)));
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.timeout = 0;
  return server;
}

/** Returns "host:port" in the form of the allow-list, undefined for what is no such thing. */
export function parseAuthority(authority: string): string | undefined {
  const match = /^([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\]):(\d{1,5})$/.exec(authority.toLowerCase());
  if (match === null) return undefined;
  const port = Number(match[2]);
  if (port < 1 || port > 65535) return undefined;
  return `${match[1]!.replace(/\.$/, "")}:${port}`;
}

/** Returns the "host:port" that a repository's URI is fetched from. */
export function repositoryAuthority(uri: string): string {
  const url = new URL(uri);
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : url.port;
  return `${url.hostname.toLowerCase()}:${port}`;
}

function decide(authority: string | undefined, options: ProxyGatewayOptions): string | undefined {
  const destination = authority ?? "(malformed)";
  const allowed = authority !== undefined && options.allowed.has(authority);
  const reason = allowed ? "" : authority === undefined ? "not a host and port" : "not on the list";
  options.onDecision({ destination, allowed, reason });
  return allowed ? authority : undefined;
}

function refusal(destination: string): string {
  return `ClaudeCluster does not allow connections to ${destination} from this container.\n`;
}

function tunnel(request: IncomingMessage, socket: Duplex, head: Buffer, options: ProxyGatewayOptions): void {
  socket.on("error", () => {});
  const authority = decide(parseAuthority(request.url ?? ""), options);
  if (authority === undefined) {
    const body = refusal("that host");
    socket.end(
      `HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
    return;
  }
  const { host, port } = split(authority);
  const upstream = connect({ host, port, allowHalfOpen: true, timeout: CONNECT_TIMEOUT_MS });
  const fail = () => {
    upstream.destroy();
    socket.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  };
  upstream.once("error", fail);
  upstream.once("timeout", fail);
  upstream.once("connect", () => {
    upstream.setTimeout(0);
    upstream.off("error", fail);
    upstream.off("timeout", fail);
    socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    if (head.length > 0) upstream.write(head);
    // Each direction ends by itself; an error or a close ends both.
    socket.pipe(upstream);
    upstream.pipe(socket);
    upstream.on("error", () => socket.destroy());
    upstream.once("close", () => {
      if (!socket.writableEnded) socket.destroy();
    });
  });
  socket.once("close", () => upstream.destroy());
}

function forwardRequest(request: IncomingMessage, response: ServerResponse, options: ProxyGatewayOptions): void {
  const raw = request.url ?? "";
  const url = URL.canParse(raw) ? new URL(raw) : undefined;
  const authority =
    url?.protocol === "http:" ? parseAuthority(`${url.hostname}:${url.port === "" ? 80 : url.port}`) : undefined;
  const allowed = decide(authority, options);
  if (allowed === undefined || url === undefined) {
    request.resume();
    response.writeHead(403, { "content-type": "text/plain" }).end(refusal(url?.host ?? "that host"));
    return;
  }
  const { host, port } = split(allowed);
  const headers = { ...endToEndHeaders(request.headers), host: url.host };
  const upstream = httpRequest({
    host,
    port,
    method: request.method,
    path: url.pathname + url.search,
    headers,
    agent: options.agent,
  });
  upstream.on("response", (answer) => {
    guard(response, () => {
      response.writeHead(statusOf(answer), endToEndHeaders(answer.headers));
      pipeline(answer, response, () => {});
    });
  });
  upstream.on("error", () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502, { "content-type": "text/plain" }).end(`ClaudeCluster could not reach ${url.host}.\n`);
  });
  endWith(request, response, upstream);
  pipeline(request, upstream, () => {});
}

function split(authority: string): { host: string; port: number } {
  const colon = authority.lastIndexOf(":");
  return { host: authority.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(authority.slice(colon + 1)) };
}
