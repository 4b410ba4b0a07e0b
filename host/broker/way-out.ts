import {
  Agent,
  type AgentOptions,
  type ClientRequest,
  type IncomingMessage,
  request as httpRequest,
  type RequestOptions,
} from "node:http";
import { Agent as TlsAgent, request as httpsRequest } from "node:https";
import { BlockList, connect, isIP, isIPv6, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { rootCertificates } from "node:tls";
import { causeOf } from "./http-exchange.ts";

/** How long a proxy may take to open a connection, in ms. */
const CONNECT_TIMEOUT_MS = 15_000;

/** This machine. */
const OWN = ["localhost", "127.0.0.0/8", "::1"];

/** Settings for the way out of the user's network. */
export interface WayOutSettings {
  /** Proxy for https, an http:// URL. Undefined: none. */
  httpsProxy?: URL | undefined;
  /** Proxy for http, an http:// URL. Undefined: none. */
  httpProxy?: URL | undefined;
  /**
   * Destinations without a proxy, as in NO_PROXY: names with all that is below them, addresses, networks, "*", each
   * with a port or without.
   */
  noProxy?: readonly string[];
  /** Authorities to be trusted beside Node's own, as PEM. */
  authorities?: readonly string[];
}

/** Agents for connections, by scheme. */
export interface Agents {
  http: Agent;
  https: TlsAgent;
}

/** Way out of the user's network: by proxies or directly, trusting the user's authorities. */
export class WayOut {
  readonly #settings: WayOutSettings;

  constructor(settings: WayOutSettings = {}) {
    this.#settings = settings;
  }

  /** Returns the proxy that leads to a URL. Undefined: it is reached directly, as this machine always is. */
  proxyFor({ protocol, hostname, port }: Pick<URL, "protocol" | "hostname" | "port">): URL | undefined {
    const { httpsProxy, httpProxy, noProxy = [] } = this.#settings;
    const proxy = protocol === "https:" ? httpsProxy : httpProxy;
    const portNumber = port === "" ? (protocol === "https:" ? "443" : "80") : port;
    const except = [...OWN, ...noProxy];
    return proxy === undefined || isExcepted(hostname.replace(/^\[|\]$/g, ""), portNumber, except) ? undefined : proxy;
  }

  /** Returns new agents. They tunnel https through the proxy. */
  createAgents(options: AgentOptions): Agents {
    const { authorities = [] } = this.#settings;
    const trust = authorities.length === 0 ? {} : { ca: [...rootCertificates, ...authorities] };
    return { http: new Agent(options), https: new TunnelingAgent(this, { ...options, ...trust }) };
  }

  /** Begins a request. Plain HTTP that a proxy leads to is asked of the proxy. */
  request(target: URL, options: RequestOptions, agents: Agents): ClientRequest {
    if (target.protocol === "https:") return httpsRequest(target, { ...options, agent: agents.https });
    const proxy = this.proxyFor(target);
    if (proxy === undefined) return httpRequest(target, { ...options, agent: agents.http });
    const headers = { host: target.host, ...options.headers, ...authorization(proxy) };
    const { lookup: _ours, ...rest } = options;
    const path = `${target.origin}${target.pathname}${target.search}`;
    return httpRequest({ ...rest, ...address(proxy), path, headers, agent: agents.http });
  }
}

/**
 * Opens a connection through a proxy to "host:port", a name or an address. Each direction ends by itself. Rejects with
 * an error that names the proxy without its credential.
 */
export function openThroughProxy(proxy: URL, authority: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { host, port } = address(proxy);
    const request = httpRequest({
      method: "CONNECT",
      path: authority,
      headers: { host: authority, ...authorization(proxy) },
      timeout: CONNECT_TIMEOUT_MS,
      createConnection: () => connect({ host, port, allowHalfOpen: true, noDelay: true }),
    });
    const fail = (what: string) => {
      reject(new Error(`the proxy ${proxy.host} ${what}`));
      request.destroy();
    };
    request.once("connect", ({ statusCode = 0 }: IncomingMessage, socket: Socket, head: Buffer) => {
      if (statusCode < 200 || statusCode >= 300) {
        socket.destroy();
        return fail(`answers ${statusCode}${statusCode === 407 ? ": it wants a user and password" : ""}`);
      }
      socket.setTimeout(0);
      if (head.length > 0) socket.unshift(head);
      return resolve(socket);
    });
    request.once("timeout", () => fail(`opened no connection within ${CONNECT_TIMEOUT_MS / 1000} s`));
    request.on("error", (error) => fail(`was not reached (${causeOf(error)})`));
    request.end();
  });
}

/** Goes through the proxy where there is one for its target. */
class TunnelingAgent extends TlsAgent {
  readonly #wayOut: WayOut;

  constructor(wayOut: WayOut, options: AgentOptions) {
    super(options);
    this.#wayOut = wayOut;
  }

  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const hostname = options.host ?? "";
    const port = String(options.port ?? 443);
    const proxy = this.#wayOut.proxyFor({ protocol: "https:", hostname, port });
    if (proxy === undefined) return super.createConnection(options, callback);
    // Where an address was looked up and checked, the proxy is not asked to look the name up again.
    lookUp(options, hostname)
      .then((place) => openThroughProxy(proxy, authority(place, port)))
      .then(
        (socket) => callback?.(null, super.createConnection({ ...options, socket } as RequestOptions)!),
        (error: Error) => callback?.(error, undefined as never),
      );
    return undefined;
  }
}

/** Returns the address that the caller wants for the name; without its wish, the name. */
function lookUp({ lookup }: RequestOptions, hostname: string): Promise<string> {
  if (lookup === undefined) return Promise.resolve(hostname);
  return new Promise((resolve, reject) => {
    lookup(hostname, {}, (error, found) => (error === null ? resolve(String(found)) : reject(error)));
  });
}

function authority(host: string, port: string): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

function address({ hostname, port }: URL): { host: string; port: number } {
  return { host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? 80 : Number(port) };
}

function authorization({ username, password }: URL): Record<string, string> {
  if (username === "" && password === "") return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(pair).toString("base64")}` };
}

function isExcepted(host: string, port: string, entries: readonly string[]): boolean {
  return entries.some((entry) => {
    const [, name = "", entryPort] = /^(.*?|\[.*\])(?::(\d+))?$/.exec(isIP(entry) === 0 ? entry : `[${entry}]`)!;
    if (entryPort !== undefined && entryPort !== port) return false;
    const bare = name.replace(/^\[|\]$/g, "").replace(/^\*?\./, "");
    if (bare === "*" || bare === host) return true;
    return isIP(host) === 0 ? host.endsWith(`.${bare}`) : isInNetwork(host, bare);
  });
}

function isInNetwork(host: string, entry: string): boolean {
  const [network = "", prefix = ""] = entry.split("/");
  const family = isIPv6(network) ? "ipv6" : "ipv4";
  if (isIP(network) === 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (family === "ipv6" ? 128 : 32)) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(prefix), family);
  return list.check(host, isIPv6(host) ? "ipv6" : "ipv4");
}
