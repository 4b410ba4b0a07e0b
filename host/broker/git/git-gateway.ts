import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import type { Logger } from "pino";
import { authorityOf } from "../egress-rules.ts";
import type { GitCredentialSource } from "./git-credential.ts";
import { type Push, PushReader, refusePush, rejection } from "./git-push.ts";
import { authorization, GitRepositories, type GitRepository } from "./git-repositories.ts";
import { type GitRequest, type GitService, readGitRequest } from "./git-request.ts";
import {
  askGitServer,
  below,
  MAX_REDIRECTS,
  passBack,
  passedHeaders,
  redirection,
  Refusal,
  userAgent,
} from "./git-upstream.ts";
import { exchange } from "../http-exchange.ts";
import { plainBody } from "./plain-body.ts";
import { type ServedSnapshot, SnapshotGateway } from "./snapshot-gateway.ts";
import { LfsGateway, type LfsGatewayOptions } from "./lfs-gateway.ts";

/** Repositories of a session, and what may be pushed to them. */
export interface GitGatewayOptions extends LfsGatewayOptions {
  /** URIs of the repositories that the user's credential is for, and that may be pushed to. */
  repositories: readonly string[];
  /** Refs that may be pushed to. "*" at the end stands for anything. */
  pushRefs: readonly string[];
  credentials: GitCredentialSource;
  /** What the session starts with, where that is a snapshot. */
  snapshot?: ServedSnapshot | undefined;
  logger: Logger;
}

/**
 * Returns the gateway between git in the container and the servers of the session's repositories. It passes on smart
 * HTTP and LFS, and nothing else. It adds the user's credential for the session's repositories once the server asks;
 * pushes go to these alone, and to the listed refs.
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
  readonly #lfs: LfsGateway;
  readonly #snapshot: SnapshotGateway | undefined;

  constructor(options: GitGatewayOptions) {
    this.#options = options;
    this.#repositories = new GitRepositories(options.repositories, options.credentials);
    this.#snapshot = options.snapshot && new SnapshotGateway(options.snapshot);
    this.#lfs = new LfsGateway(options, {
      repositories: this.#repositories,
      unlock: (repository) => this.#unlock(repository),
      refusePush: (url) => this.#refusePush(url),
    });
  }

  /** Answers one request. Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const asked = readGitRequest(request.method, request.url ?? "");
      if (asked === undefined) throw new Refusal(404, "only git's own requests are passed on");
      await this.#pass(asked, request, response);
    } catch (error) {
      if (!(error instanceof Refusal) || error.cause !== undefined) {
        this.#options.logger.warn({ err: error }, "git request failed");
      }
      const { status, message } = error instanceof Refusal ? error : new Refusal(502, "the request failed");
      request.resume();
      if (response.headersSent) response.destroy();
      else if (!response.destroyed) {
        response.writeHead(status, { "content-type": "text/plain" }).end(`ClaudeCluster: ${message}.\n`);
      }
    }
  }

  async #pass(asked: GitRequest, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (asked.kind === "lfs-object") return this.#lfs.passObject(asked.id, request, response);
    const { repository: url } = asked;
    if (this.#snapshot !== undefined && SnapshotGateway.isAt(url)) return this.#snapshot.pass(asked, request, response);
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
        return this.#lfs.passBatch({ url, repository }, request, response);
    }
  }

  #refusePush(url: URL): Refusal {
    this.#decide(url, "not a repository of the session", undefined, true);
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
        const answer = await askGitServer(this.#options, target, { headers, request, response });
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
      this.#decide(url, "no credential for it", undefined, service === "git-receive-pack");
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
    passBack(
      await askGitServer(this.#options, target, {
        method: "POST",
        headers,
        body: request,
        request,
        response,
      }),
      response,
    );
  }

  async #passPush(repository: GitRepository, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = plainBody(request);
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
      ...(body === request && length !== undefined && { "content-length": length }),
      ...authorization(repository),
    };
    const target = below(repository.url, "git-receive-pack");
    passBack(
      await askGitServer(this.#options, target, { method: "POST", headers, head, body, push: true, request, response }),
      response,
    );
  }

  #decide(url: URL, reason?: string, ref?: string, push = ref !== undefined): void {
    const host = authorityOf(url);
    const what = ref === undefined ? host : `${host}${url.pathname} ${printable(ref)}`;
    const destination = ref === undefined && reason !== undefined ? `${host}${url.pathname}` : what;
    this.#options.onDecision({ destination, allowed: reason === undefined, reason: reason ?? "", push });
  }
}

function printable(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, "?").slice(0, 200);
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
  const reader = new PushReader();
  try {
    for await (const chunk of body.iterator({ destroyOnReturn: false })) {
      const push = reader.push(chunk as Buffer);
      if (push !== undefined) return { push, head: reader.bytes };
    }
  } catch (error) {
    throw new Refusal(403, error instanceof RangeError ? error.message : "that push cannot be read");
  }
  throw new Refusal(403, "that push has no end of its commands");
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
