import {
  type Agent,
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as httpRequest,
  type Server,
  type ServerResponse,
} from "node:http";
import { request as httpsRequest } from "node:https";
import { isIPv6, type LookupFunction } from "node:net";
import { pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import type { Logger } from "pino";
import { type EgressRules, findDestination, repositoryAuthority, type Resolve } from "./egress-rules.ts";
import type { GitCredentialSource } from "./git-credential.ts";
import { LfsObjects } from "./git-lfs.ts";
import { isReasonable } from "./json-size.ts";
import { MAX_COMMAND_BYTES, type Push, readPush, refusePush, rejection } from "./git-push.ts";
import { authorization, GitRepositories, type GitRepository } from "./git-repositories.ts";
import { type GitRequest, type GitService, readGitRequest } from "./git-request.ts";
import { endWith, exchange, statusOf } from "./http-exchange.ts";

export interface GitGatewayOptions {
  /** URIs of the repositories that the user's credential is for, and that may be pushed to. */
  repositories: readonly string[];
  /** Refs that may be pushed to; "*" at the end stands for anything. */
  pushRefs: readonly string[];
  gitCredentials: GitCredentialSource;
  /** Told of every decision. */
  onDecision: (decision: { destination: string; allowed: boolean; reason: string }) => void;
  /** The session's own: what one session does to a connection must not meet another's request. */
  gitAgents: { http: Agent; https: Agent };
  /** LFS objects that are on another server must be in public, or where the user says that his own network may be reached. */
  egress: Pick<EgressRules, "allowedPrivate">;
  /** Default: the system's. */
  resolve?: Resolve;
  logger: Logger;
}

const MAX_REDIRECTS = 3;
const MAX_BATCH_BYTES = 1024 * 1024;
/** git-lfs asks for 100 objects at once. */
const MAX_BATCH_ANSWER_BYTES = 2 * 1024 * 1024;
/** Passed on to the server; the rest is made anew. */
const REQUEST_HEADERS = ["accept", "accept-encoding", "accept-language", "content-encoding", "content-length", "range"];
/** Of these what belongs to a request without a body: a length without one would take the connection's next request for it. */
const READ_HEADERS = ["accept", "accept-encoding", "accept-language", "range"];
/** Passed back. */
const ANSWER_HEADERS = ["content-type", "content-length", "content-encoding", "content-range", "cache-control"];

/** An answer that is given instead of the server's. What it says is shown by git as "remote: ...". */
class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Stands between git in the container and the servers of the session's repositories: smart HTTP and LFS, and nothing
 * else of them. The user's credential is put in for the session's repositories only, once the server asks; pushes go
 * to these only, and to the listed refs.
 */
export function createGitGateway(options: GitGatewayOptions): Server {
  const gateway = new GitGateway(options);
  const server = createServer((request, response) =>
    exchange(request, response, () => void gateway.handle(request, response)),
  );
  // A large push or clone takes its time.
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.timeout = 0;
  return server;
}

class GitGateway {
  readonly #options: GitGatewayOptions;
  readonly #repositories: GitRepositories;
  readonly #objects = new LfsObjects();

  constructor(options: GitGatewayOptions) {
    this.#options = options;
    this.#repositories = new GitRepositories(options.repositories, options.gitCredentials);
  }

  /** Answers one request. Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const asked = readGitRequest(request.method, request.url ?? "");
      if (asked === undefined) throw new Refusal(404, "only git's own requests are passed on");
      await this.#pass(asked, request, response);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        this.#options.logger.warn({ err: error }, "git request failed");
      }
      const { status, message } = error instanceof Refusal ? error : new Refusal(502, "the git server was not reached");
      request.resume();
      if (response.headersSent) response.destroy();
      else if (!response.destroyed) {
        response.writeHead(status, { "content-type": "text/plain" }).end(`ClaudeCluster: ${message}.\n`);
      }
    }
  }

  async #pass(asked: GitRequest, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (asked.kind === "lfs-object") return this.#passObject(asked.id, request, response);
    const { repository: url } = asked;
    const repository = this.#repositories.find(url);
    if (!this.#repositories.isServed(url)) {
      this.#decide(url, "not a server of the session's repositories");
      throw new Refusal(403, `${url.host} is not a server of this session's repositories`);
    }
    if (repository === undefined && asked.kind !== "lfs-batch" && asked.service === "git-receive-pack") {
      throw this.#refusePush(url);
    }
    this.#decide(url);
    switch (asked.kind) {
      case "refs":
        return this.#passRefs(asked.service, { url, repository }, request, response);
      case "rpc":
        if (asked.service === "git-receive-pack") return this.#passPush(repository!, request, response);
        return this.#passFetch({ url, repository }, request, response);
      case "lfs-batch":
        return this.#passBatch({ url, repository }, request, response);
    }
  }

  #refusePush(url: URL): Refusal {
    this.#decide(url, "not a repository of the session");
    return new Refusal(403, "this session may push only to its own repositories");
  }

  /** The first request of every clone, fetch and push: here the server's wish for a credential is met. */
  async #passRefs(
    service: GitService,
    { url, repository }: { url: URL; repository: GitRepository | undefined },
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const send = async () => {
      let target = below(repository?.url ?? url, `info/refs?service=${service}`);
      for (let count = 0; ; count++) {
        const headers = { ...protocolHeaders(request, service), ...authorization(repository) };
        const answer = await this.#ask(target, { headers, request, response });
        const next = redirection(answer, target);
        if (next === undefined) return answer;
        answer.destroy();
        const base = count < MAX_REDIRECTS ? repositoryOf(next, target, service) : undefined;
        if (base === undefined)
          throw new Refusal(502, `the server redirects to ${next.host}; name the repository there`);
        if (repository !== undefined) repository.url = base;
        target = next;
      }
    };
    let answer = await send();
    if (answer.statusCode === 401 && repository !== undefined && (await this.#unlock(repository))) {
      answer.destroy();
      answer = await send();
      const taken = answer.statusCode !== 401;
      void this.#repositories.settle(repository, { taken }).catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, "git credential helper not told");
      });
    }
    if (answer.statusCode === 401) {
      answer.destroy();
      this.#decide(url, "no credential for it");
      throw new Refusal(403, `there is no credential for ${url.origin}${url.pathname} that its server takes`);
    }
    passBack(answer, response);
  }

  async #unlock(repository: GitRepository): Promise<boolean> {
    try {
      // One that the server has taken before and refuses now has ended.
      if (repository.credential !== undefined) await this.#repositories.settle(repository, { taken: false });
      return await this.#repositories.unlock(repository);
    } catch (error) {
      this.#options.logger.warn({ err: error }, "git credential cannot be read");
      return false;
    }
  }

  async #passFetch(
    { url, repository }: { url: URL; repository: GitRepository | undefined },
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const headers = {
      ...passedHeaders(request),
      ...protocolHeaders(request, "git-upload-pack"),
      "content-type": "application/x-git-upload-pack-request",
      ...authorization(repository),
    };
    const target = below(repository?.url ?? url, "git-upload-pack");
    passBack(await this.#ask(target, { method: "POST", headers, body: request, request, response }), response);
  }

  async #passPush(repository: GitRepository, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const encoding = request.headers["content-encoding"] ?? "identity";
    if (!["identity", "gzip", "x-gzip"].includes(encoding)) throw new Refusal(415, "that encoding is not understood");
    const plain = encoding === "identity";
    const body: Readable = plain ? request : pipeline(request, createGunzip(), () => {});
    const { push, head } = await readHead(body);
    const reason = push.commands.length === 0 ? undefined : refusePush(push, this.#options.pushRefs);
    if (reason !== undefined) {
      for (const { ref } of push.commands) this.#decide(repository.url, reason, ref);
      return reject(push, reason, body, response);
    }
    for (const { ref } of push.commands) this.#decide(repository.url, undefined, ref);
    const length = request.headers["content-length"];
    const headers = {
      ...userAgent(request),
      "content-type": "application/x-git-receive-pack-request",
      accept: "application/x-git-receive-pack-result",
      ...(plain && length !== undefined && { "content-length": length }),
      ...authorization(repository),
    };
    const target = below(repository.url, "git-receive-pack");
    passBack(await this.#ask(target, { method: "POST", headers, head, body, request, response }), response);
  }

  async #passBatch(
    { url, repository }: { url: URL; repository: GitRepository | undefined },
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const wish = parseJson(await readAll(request, MAX_BATCH_BYTES));
    if (typeof wish !== "object" || wish === null) throw new Refusal(400, "that is no LFS request");
    const reads = "operation" in wish && wish.operation === "download";
    if (repository === undefined && !reads) throw this.#refusePush(url);
    const place = () => repository?.url ?? url;
    const body = Buffer.from(JSON.stringify({ ...wish, transfers: ["basic"] }));
    const type = "application/vnd.git-lfs+json";
    const send = () =>
      this.#ask(below(place(), "info/lfs/objects/batch"), {
        method: "POST",
        headers: {
          ...userAgent(request),
          "content-type": type,
          accept: type,
          "accept-encoding": "identity",
          "content-length": body.length,
          ...authorization(repository),
        },
        head: body,
        request,
        response,
      });
    let answer = await send();
    if (answer.statusCode === 401 && repository !== undefined && (await this.#unlock(repository))) {
      answer.destroy();
      answer = await send();
    }
    if (answer.statusCode !== 200) return passBack(answer, response);
    const origin = `http://${request.headers.host ?? ""}`;
    const said = parseJson(await readAll(answer, MAX_BATCH_ANSWER_BYTES));
    const rewritten = this.#objects.rewrite(said, place(), origin);
    if (rewritten === undefined) throw new Refusal(502, "the server's LFS answer is not understood");
    response.writeHead(200, { "content-type": type }).end(JSON.stringify(rewritten));
  }

  async #passObject(id: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const object = this.#objects.get(id);
    const { method = "" } = request;
    if (object === undefined || !["GET", "PUT", "POST"].includes(method)) throw new Refusal(404, "no such object");
    let { target } = object;
    let own = target.origin === object.repository.origin;
    const type = request.headers["content-type"];
    const plain = {
      ...(method === "GET" ? { ...pick(request, READ_HEADERS), ...userAgent(request) } : passedHeaders(request)),
      ...(type !== undefined && { "content-type": type }),
    };
    let headers: OutgoingHttpHeaders = {
      ...plain,
      ...(own && authorization(this.#repositories.find(object.repository))),
      ...lowerCase(object.headers),
    };
    const body = method === "GET" ? undefined : request;
    for (let count = 0; ; count++) {
      const lookup = own ? undefined : await this.#lookUp(target);
      const answer = await this.#ask(target, { method, headers, body, request, response, lookup });
      const next = method === "GET" && count < MAX_REDIRECTS ? redirection(answer, target) : undefined;
      if (next === undefined) return passBack(answer, response);
      answer.destroy();
      // What another server names is not the repository's own, wherever it is; plain http goes to no other.
      own &&= next.origin === object.repository.origin;
      if (!own && next.protocol !== "https:") throw new Refusal(502, "the server redirects where it must not");
      if (next.origin !== target.origin) headers = plain;
      target = next;
    }
  }

  /** Looks up where a git server says that an object is, which may be anywhere. Throws a Refusal. */
  async #lookUp(target: URL): Promise<LookupFunction> {
    const { egress, resolve } = this.#options;
    const authority = repositoryAuthority(target.href);
    const rules = { open: true, allowed: new Set<string>(), allowedPrivate: egress.allowedPrivate };
    const found = await findDestination(authority, rules, resolve);
    if ("refused" in found) {
      this.#options.onDecision({ destination: authority, allowed: false, reason: found.refused });
      throw new Refusal(403, `the server says that the object is at ${authority}: ${found.refused}`);
    }
    const { address } = found;
    const family = isIPv6(address) ? 6 : 4;
    return (_host, { all }, callback) =>
      all === true ? callback(null, [{ address, family }]) : callback(null, address, family);
  }

  /** Asks the server. Rejects if it is not reached. */
  #ask(target: URL, { method = "GET", headers, head, body, request, response, lookup }: Question) {
    const { gitAgents } = this.#options;
    return new Promise<IncomingMessage>((resolve, reject) => {
      if (response.destroyed) return reject(new Refusal(499, "nobody waits for this"));
      const [send, agent] =
        target.protocol === "https:" ? [httpsRequest, gitAgents.https] : [httpRequest, gitAgents.http];
      const upstream = send(target, { method, headers, agent, lookup });
      upstream.once("response", resolve);
      upstream.on("error", (error) => {
        reject(error);
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

  #decide(url: URL, reason?: string, ref?: string): void {
    const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
    const host = `${url.hostname}:${port}`;
    const what = ref === undefined ? host : `${host}${url.pathname} ${printable(ref)}`;
    const destination = ref === undefined && reason !== undefined ? `${host}${url.pathname}` : what;
    this.#options.onDecision({ destination, allowed: reason === undefined, reason: reason ?? "" });
  }
}

function printable(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, "?").slice(0, 200);
}

interface Question {
  method?: string;
  headers: OutgoingHttpHeaders;
  /** Sent before the body. */
  head?: Buffer;
  body?: Readable | undefined;
  /** Those that it is asked for: it ends with them. */
  request: IncomingMessage;
  response: ServerResponse;
  /** Default: the system's. */
  lookup?: LookupFunction | undefined;
}

function passBack(answer: IncomingMessage, response: ServerResponse): void {
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

/** Answers a push once all of it has come: git does not look for an answer while it sends. */
function reject(push: Push, reason: string, body: Readable, response: ServerResponse): void {
  const report = rejection(push, reason);
  if (report === undefined) throw new Refusal(403, reason);
  body.once("end", () => {
    response.writeHead(200, { "content-type": "application/x-git-receive-pack-result" }).end(report);
  });
  body.once("error", () => response.destroy());
  body.resume();
}

/** Reads the commands of a push; the rest stays in the stream. */
async function readHead(body: Readable): Promise<{ push: Push; head: Buffer }> {
  let head: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of body.iterator({ destroyOnReturn: false })) {
      head = Buffer.concat([head, chunk as Buffer]);
      const push = readPush(head);
      if (push !== undefined) return { push, head };
      if (head.length > MAX_COMMAND_BYTES) break;
    }
  } catch (error) {
    throw new Refusal(403, error instanceof RangeError ? error.message : "that push cannot be read");
  }
  throw new Refusal(403, "that push has no end of its commands");
}

async function readAll(stream: Readable, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > maxBytes) throw new Refusal(413, "that is too large");
  }
  return Buffer.concat(chunks);
}

/** Undefined for what is no JSON, or no message of LFS by its shape. */
function parseJson(json: Buffer): unknown {
  if (!isReasonable(json)) return undefined;
  try {
    return JSON.parse(json.toString());
  } catch {
    return undefined;
  }
}

/** A URL below a repository's. */
function below(repository: URL, rest: string): URL {
  return new URL(`${repository.origin}${repository.pathname.replace(/\/+$/, "")}/${rest}`);
}

function redirection(answer: IncomingMessage, from: URL): URL | undefined {
  const { statusCode = 0, headers } = answer;
  const { location } = headers;
  if (statusCode < 300 || statusCode >= 400 || location === undefined || !URL.canParse(location, from.href))
    return undefined;
  return new URL(location, from);
}

/** Where a redirect says that the repository is; undefined if that is another server, or no repository. */
function repositoryOf(next: URL, from: URL, service: GitService): URL | undefined {
  const suffix = `/info/refs?service=${service}`;
  const text = next.pathname + next.search;
  if (next.origin !== from.origin || !text.endsWith(suffix)) return undefined;
  return new URL(next.origin + text.slice(0, -suffix.length));
}

/** git's protocol 2 is for fetching only. */
function protocolHeaders(request: IncomingMessage, service: GitService): Record<string, string> {
  const protocol = String(request.headers["git-protocol"] ?? "");
  const asked = service === "git-upload-pack" && /^version=[0-2]$/.test(protocol);
  return { ...userAgent(request), accept: "*/*", ...(asked && { "git-protocol": protocol }) };
}

/** Servers look at it: some speak git only to what calls itself so. */
function userAgent(request: IncomingMessage): Record<string, string> {
  const given = request.headers["user-agent"] ?? "";
  return { "user-agent": /^git(?:-lfs)?\/[\w.]{1,40}$/.test(given) ? given : "git/2.0" };
}

function passedHeaders(request: IncomingMessage): Record<string, string> {
  return { ...pick(request, REQUEST_HEADERS), ...userAgent(request) };
}

function pick(message: IncomingMessage, names: readonly string[]): Record<string, string> {
  const pairs = names.map((name) => [name, message.headers[name]]);
  return Object.fromEntries(pairs.filter((pair): pair is [string, string] => typeof pair[1] === "string"));
}

function lowerCase(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
