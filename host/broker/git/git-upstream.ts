import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { LookupFunction } from "node:net";
import { pipeline, type Readable } from "node:stream";
import { causeOf, countBytes, endWith, statusOf } from "../http-exchange.ts";
import type { Agents, WayOut } from "../way-out.ts";

/** Most redirects of one request that are followed. */
export const MAX_REDIRECTS = 3;
/** Passed on to the server; the rest is made anew. */
const REQUEST_HEADERS = ["accept", "accept-encoding", "accept-language", "content-encoding", "content-length", "range"];
const READ_HEADERS = ["accept", "accept-encoding", "accept-language", "range"];
/** Passed back. */
const ANSWER_HEADERS = ["content-type", "content-length", "content-encoding", "content-range", "cache-control"];

/**
 * How long a git server may say nothing before it answers: git itself, inside, waits for a minute. For a fetch that is long:
 * git's own server begins its answer before it thinks, and says something every five seconds while it packs
 * (https://git-scm.com/docs/git-config, uploadpack.keepAlive). git-lfs gives a server up after half a minute.
 */
const SILENCE_MS = 45_000;
/** So many times as long may one that was sent a push: its hooks may test what came. */
const PUSH_PATIENCE = 10;

/** Connections to git servers, by scheme. */
export interface GitAgents extends Agents {
  /** Time without a byte after which a connection is given up (ms). Default: 45 000. */
  silenceMs?: number;
}

/** Answer that is given instead of the server's. git shows its text as "remote: ...". */
export class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** Request to a git server, and for whom. */
export interface GitQuestion {
  method?: string;
  headers: OutgoingHttpHeaders;
  /** Bytes that are sent before the body. */
  head?: Buffer;
  body?: Readable | undefined;
  /** Whether it is a push. */
  push?: boolean;
  /** Container's request that it serves. It ends with it. */
  request: IncomingMessage;
  response: ServerResponse;
  /** Function that resolves names. Default: the system's. */
  lookup?: LookupFunction | undefined;
}

/** Way to git servers. */
export interface GitWay {
  wayOut: WayOut;
  /** Agents of this session alone: what one session does to a connection must not meet another's request. */
  agents: GitAgents;
  /** Called with bytes that went out or came in. Default: nobody counts. */
  onBytes?: ((count: number) => void) | undefined;
}

/** Sends a request to a git server. Rejects with a Refusal that says why if the server is not reached. */
export function askGitServer(
  { wayOut, agents, onBytes }: GitWay,
  target: URL,
  { method = "GET", headers, head, body, push = false, request, response, lookup }: GitQuestion,
): Promise<IncomingMessage> {
  return new Promise<IncomingMessage>((resolve, reject) => {
    if (response.destroyed) return reject(new Refusal(499, "nobody waits for this"));
    const silenceMs = (agents.silenceMs ?? SILENCE_MS) * (push ? PUSH_PATIENCE : 1);
    const upstream = wayOut.request(target, { method, headers, lookup, timeout: silenceMs }, agents);
    countBytes(upstream, onBytes);
    upstream.on("timeout", () => {
      // The container has not sent all of it: it is not the server that is silent.
      if (body !== undefined && !body.readableEnded && !upstream.writableNeedDrain) return;
      reject(new Refusal(504, `${target.host} did not answer within ${silenceMs / 1000} s`));
      upstream.destroy();
    });
    if (body !== undefined) upstream.once("finish", () => upstream.setTimeout(silenceMs));
    upstream.once("response", (answer) => {
      // A transfer that stands still is git's to end.
      upstream.setTimeout(0);
      resolve(answer);
    });
    upstream.on("error", (error) => {
      reject(new Refusal(502, `${target.host} was not reached (${causeOf(error)})`, { cause: error }));
      // Too late for an answer of ours.
      if (response.headersSent) response.destroy();
    });
    endWith(request, response, upstream);
    if (head !== undefined) upstream.write(head);
    if (body === undefined) upstream.end();
    else {
      body.once("error", () => upstream.destroy());
      // Not a pipeline, which would cut the connection that an early answer is to go by.
      body.pipe(upstream);
    }
  });
}

/** Passes a server's answer back. Throws a Refusal if it is a redirect. */
export function passBack(answer: IncomingMessage, response: ServerResponse): void {
  const status = statusOf(answer);
  if (status >= 300 && status < 400) {
    answer.destroy();
    throw new Refusal(502, "the server redirects where it must not");
  }
  // Without the wish for a credential: there is nobody who could give it.
  const passed = status === 401 ? 403 : status;
  response.writeHead(passed, pick(answer, ANSWER_HEADERS));
  pipeline(answer, response, () => {});
}

/** Returns where a redirect leads. Undefined: the answer is none. */
export function redirection(answer: IncomingMessage, from: URL): URL | undefined {
  const { statusCode = 0, headers } = answer;
  const { location } = headers;
  if (statusCode < 300 || statusCode >= 400 || location === undefined || !URL.canParse(location, from.href))
    return undefined;
  return new URL(location, from);
}

/** Returns a URL below a repository's. */
export function below(repository: URL, rest: string): URL {
  return new URL(`${repository.origin}${repository.pathname.replace(/\/+$/, "")}/${rest}`);
}

/** Returns git's name for itself. Some servers speak git only to what calls itself so. */
export function userAgent(request: IncomingMessage): Record<string, string> {
  const given = request.headers["user-agent"] ?? "";
  return { "user-agent": /^git(?:-lfs)?\/[\w.]{1,40}$/.test(given) ? given : "git/2.0" };
}

/** Returns the headers that are passed on of a request with a body. */
export function passedHeaders(request: IncomingMessage): Record<string, string> {
  return { ...pick(request, REQUEST_HEADERS), ...userAgent(request) };
}

/**
 * Returns the headers that are passed on of a request without a body. A length would take the connection's next request
 * for its body.
 */
export function readHeaders(request: IncomingMessage): Record<string, string> {
  return { ...pick(request, READ_HEADERS), ...userAgent(request) };
}

function pick(message: IncomingMessage, names: readonly string[]): Record<string, string> {
  const pairs = names.map((name) => [name, message.headers[name]]);
  return Object.fromEntries(pairs.filter((pair): pair is [string, string] => typeof pair[1] === "string"));
}
