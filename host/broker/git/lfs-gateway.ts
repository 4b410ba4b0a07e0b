import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { isIPv6, type LookupFunction } from "node:net";
import type { Readable } from "node:stream";
import { authorityOf, type EgressRules, findDestination, type Resolve } from "../egress-rules.ts";
import { GatheredBytes } from "../gathered-bytes.ts";
import { LfsObjects } from "./git-lfs.ts";
import { authorization, type GitRepositories, type GitRepository } from "./git-repositories.ts";
import {
  askGitServer,
  below,
  type GitWay,
  MAX_REDIRECTS,
  passBack,
  passedHeaders,
  readHeaders,
  redirection,
  Refusal,
  userAgent,
} from "./git-upstream.ts";
import { isMembers, isReasonable, type Members, parseJson } from "../json.ts";
import type { EgressDecision } from "../egress-decision.ts";

const MAX_BATCH_BYTES = 1024 * 1024;
/** git-lfs asks for 100 objects at once. */
const MAX_BATCH_ANSWER_BYTES = 2 * 1024 * 1024;

/** Rules for where LFS objects may be. */
export interface LfsGatewayOptions extends GitWay {
  /** Called with every decision. */
  onDecision: (decision: EgressDecision) => void;
  /**
   * Rules for objects on another server: it must be public, or where the user says that his own network may be reached.
   */
  egress: Pick<EgressRules, "allowed" | "allowedPrivate">;
  /** Function that resolves names. Default: the system's. */
  resolve?: Resolve;
}

/** Part of the git gateway that the LFS gateway needs. */
export interface LfsSession {
  repositories: GitRepositories;
  /** Gets the credential that a server asks for. Returns false if there is none. */
  unlock: (repository: GitRepository) => Promise<boolean>;
  /** Returns why a repository may not be pushed to. Undefined: it may. */
  refusePush: (url: URL) => Refusal;
}

/** Gateway for LFS objects, a part of the git gateway. Its calls reject with a Refusal, or if an answer breaks off. */
export class LfsGateway {
  readonly #options: LfsGatewayOptions;
  readonly #session: LfsSession;
  readonly #objects = new LfsObjects();

  constructor(options: LfsGatewayOptions, session: LfsSession) {
    this.#options = options;
    this.#session = session;
  }

  /** Passes on a request for the places of objects. The answer names places of the gateway instead. */
  async passBatch(
    { url, repository }: { url: URL; repository: GitRepository | undefined },
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const wish = parseMessage(await readAll(request, MAX_BATCH_BYTES));
    if (wish === undefined) throw new Refusal(400, "that is no LFS request");
    const reads = wish["operation"] === "download";
    if (repository === undefined && !reads) throw this.#session.refusePush(url);
    const place = () => repository?.url ?? url;
    const body = Buffer.from(JSON.stringify({ ...wish, transfers: ["basic"] }));
    const type = "application/vnd.git-lfs+json";
    const send = () =>
      askGitServer(this.#options, below(place(), "info/lfs/objects/batch"), {
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
    if (answer.statusCode === 401 && repository !== undefined && (await this.#session.unlock(repository))) {
      answer.destroy();
      answer = await send();
    }
    if (answer.statusCode !== 200) return passBack(answer, response);
    const origin = `http://${request.headers.host ?? ""}`;
    const said = parseMessage(await readAll(answer, MAX_BATCH_ANSWER_BYTES));
    const rewritten = this.#objects.rewrite(said, place(), origin);
    if (rewritten === undefined) throw new Refusal(502, "the server's LFS answer is not understood");
    response.writeHead(200, { "content-type": type }).end(JSON.stringify(rewritten));
  }

  /** Passes an object, from or to where its server says that it is. */
  async passObject(id: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const object = this.#objects.get(id);
    const { method = "" } = request;
    if (object === undefined || !["GET", "PUT", "POST"].includes(method)) throw new Refusal(404, "no such object");
    let { target } = object;
    let own = target.origin === object.repository.origin;
    const type = request.headers["content-type"];
    const plain = {
      ...(method === "GET" ? readHeaders(request) : passedHeaders(request)),
      ...(type !== undefined && { "content-type": type }),
    };
    let headers: OutgoingHttpHeaders = {
      ...plain,
      ...(own && authorization(this.#session.repositories.find(object.repository))),
      ...lowerCase(object.headers),
    };
    const body = method === "GET" ? undefined : request;
    for (let count = 0; ; count++) {
      const lookup = own ? undefined : await this.#lookUp(target);
      const answer = await askGitServer(this.#options, target, {
        method,
        headers,
        body,
        request,
        response,
        lookup,
      });
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
  async #lookUp(target: URL): Promise<LookupFunction | undefined> {
    const { egress, resolve } = this.#options;
    const authority = authorityOf(target);
    const rules = { open: false, allowed: new Set([authority]), allowedPrivate: egress.allowedPrivate };
    // What the user has not listed has to resolve here: the address that is checked is the one that is dialled.
    const listed = egress.allowed.has(authority) || egress.allowedPrivate.has(authority);
    const proxied = listed && this.#options.wayOut.proxyFor(target) !== undefined;
    const found = await findDestination(authority, rules, { resolve, proxied });
    if ("refused" in found) {
      this.#options.onDecision({ destination: authority, allowed: false, reason: found.refused });
      throw new Refusal(403, `the server says that the object is at ${authority}: ${found.refused}`);
    }
    const { address } = found;
    if (address === undefined) return undefined;
    const family = isIPv6(address) ? 6 : 4;
    return (_host, { all }, callback) =>
      all === true ? callback(null, [{ address, family }]) : callback(null, address, family);
  }
}

async function readAll(stream: Readable, maxBytes: number): Promise<Buffer> {
  const body = new GatheredBytes();
  for await (const chunk of stream) {
    body.push(chunk as Buffer);
    if (body.bytes.length > maxBytes) throw new Refusal(413, "that is too large");
  }
  return body.bytes;
}

/** Returns the members of a message of LFS; undefined for what is none by its shape. */
function parseMessage(json: Buffer): Members | undefined {
  const message = isReasonable(json) ? parseJson(json) : undefined;
  return isMembers(message) ? message : undefined;
}

function lowerCase(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
