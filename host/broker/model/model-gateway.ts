import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { finished } from "node:stream/promises";
import type { Logger } from "pino";
import type { MeteredUsage } from "../../../proto/index.ts";
import type { Credential, CredentialSource } from "./credential.ts";
import { decoded } from "./decoded.ts";
import { authorityOf } from "../egress-rules.ts";
import { exchange, goneSignal, guard, statusOf } from "../http-exchange.ts";
import { isReasonable, type Members, parseJson } from "../json.ts";
import { callModel, type CallObserver, isOverloaded, notReached, type Retry } from "./model-call.ts";
import { headersToClaude, headersToModel } from "./model-headers.ts";
import { sortBetas } from "./model-betas.ts";
import { checkModelRequest, type ModelPolicy } from "./model-policy.ts";
import type { EgressDecision } from "../egress-decision.ts";
import { RequestBodies } from "./request-bodies.ts";
import { Silence, SILENCE_LIMITS, type SilenceLimits } from "./silence.ts";
import { UsageReader, worstUsage } from "./usage-reader.ts";
import type { Agents, WayOut } from "../way-out.ts";
import { cutChars } from "../../../proto/index.ts";

/** What the session uses, and whether it may use more. `add` does not throw. */
export interface ModelSpending {
  /** Sets aside what a request may come to, waiting for others to be counted if need be; not beyond an abort. */
  reserve(worst: MeteredUsage, options: { signal: AbortSignal }): Promise<Reservation>;
  /** Counts one answer. */
  add(usage: MeteredUsage): void;
}

/** Whether a request may be sent. Reasons are sentences. */
export type Reservation =
  /** It may. To be disposed of once it has been counted. */
  | { held: Disposable }
  /** The model may not be asked again. */
  | { refused: string }
  /** Not now, but perhaps once the others under way have been counted. */
  | { occupied: string };

export interface ModelGatewayOptions {
  /** The model's endpoint, without /v1/messages. */
  endpoint: URL;
  credentials: CredentialSource;
  policy: ModelPolicy;
  /** Asked instead of a model that is overloaded. Undefined: none. */
  fallbackModel: string | undefined;
  spending: ModelSpending;
  wayOut: WayOut;
  /** Bound and keep the connections to the endpoint. */
  agents: Agents;
  logger: Logger;
  /** Told of every request that is refused for what it asks for, and of what is left out. */
  onDecision: (decision: EgressDecision) => void;
  /** Told of every request that failed and is sent again. */
  onRetry: (retry: Retry) => void;
  /** See CallObserver. */
  onReach: CallObserver["onReach"];
  /** Times between attempts. Default RETRY_DELAYS_MS. */
  retryDelaysMs?: readonly number[];
  /** Default SILENCE_LIMITS. */
  silence?: SilenceLimits;
}

/** What Claude needs, and nothing else: every other path of the API would be reached with the user's key. */
const MESSAGES = "/v1/messages";
const PATHS = new Set([MESSAGES, `${MESSAGES}/count_tokens`]);
/** Requests of a session that are under way or wait for others at once. */
const MAX_UNDER_WAY = 16;

/** Betas of a session that it is told of; Claude Code knows fewer. */
const MAX_TOLD_BETAS = 50;

/**
 * Stands between Claude and the model's API: plain HTTP on the container's side, the real
 * endpoint with the user's credential on the other. Requests are read, checked and written anew;
 * answers stream through with backpressure, and what they used is counted.
 */
export function createModelGateway(options: ModelGatewayOptions): Server {
  const gateway = new ModelGateway(options);
  const server = createServer((request, response) =>
    exchange(request, response, () => {
      gateway.handle(request, response).catch(() => response.destroy());
    }),
  );
  // A model may think for longer than Node's default of five minutes.
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.timeout = 0;
  return server;
}

class ModelGateway {
  readonly #options: ModelGatewayOptions;
  readonly #bodies = new RequestBodies();
  readonly #leftBetas = new Set<string>();
  #underWay = 0;

  constructor(options: ModelGatewayOptions) {
    this.#options = options;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.canParse(request.url ?? "", "http://gateway")
      ? new URL(request.url ?? "", "http://gateway")
      : undefined;
    if (request.method === "HEAD" && url?.pathname === "/") {
      response.writeHead(200).end();
      return;
    }
    if (request.method !== "POST" || url === undefined || !PATHS.has(url.pathname) || url.host !== "gateway") {
      request.resume();
      const message = "ClaudeCluster passes on POST /v1/messages and POST /v1/messages/count_tokens only.";
      return refuse(response, 404, "not_found_error", message);
    }
    const content = await this.#bodies.read(request, response);
    if (content === undefined) {
      const message = "The request is too large: 32 MB, or 64 MB with the others under way.";
      return refuse(response, 413, "request_too_large", message);
    }
    const { endpoint, policy, onDecision } = this.#options;
    const checked = isReasonable(content)
      ? checkModelRequest(parseJson(content), policy)
      : { refused: "the body has more values than any request" };
    if ("refused" in checked) {
      const reason = `model request: ${checked.refused}`;
      onDecision({ destination: authorityOf(endpoint), allowed: false, reason });
      return refuse(response, 400, "invalid_request_error", `ClaudeCluster does not pass this on: ${checked.refused}.`);
    }
    const target = new URL(endpoint.pathname.replace(/\/$/, "") + url.pathname, endpoint);
    if (url.searchParams.get("beta") === "true") target.searchParams.set("beta", "true");
    const passed = { target, body: checked.body, signal: goneSignal(request, response) };
    if (url.pathname !== MESSAGES) await this.#passOn(request, response, passed);
    else await this.#meter(request, response, { ...passed, bodyBytes: content.length });
  }

  /** Passes on a request that costs something. */
  async #meter(
    request: IncomingMessage,
    response: ServerResponse,
    { target, body, signal, bodyBytes }: { target: URL; body: Members; signal: AbortSignal; bodyBytes: number },
  ): Promise<void> {
    const { spending, onRetry } = this.#options;
    if (this.#underWay >= MAX_UNDER_WAY) {
      return refuse(response, 429, "rate_limit_error", `ClaudeCluster passes on ${MAX_UNDER_WAY} requests at once.`);
    }
    this.#underWay++;
    let reserved: Disposable | undefined;
    try {
      const worst = this.#worstOf(body, bodyBytes);
      const reservation = await spending.reserve(worst, { signal });
      if ("refused" in reservation) {
        return refuse(response, 400, "invalid_request_error", `ClaudeCluster: ${reservation.refused}`);
      }
      if ("occupied" in reservation) return refuseForNow(response, `ClaudeCluster: ${reservation.occupied}`);
      reserved = reservation.held;
      // A stream says what it used before the first of it is made; all of another answer may have been made when it is cut.
      const unread = body["stream"] === true ? this.#worstOf({ ...body, max_tokens: 0 }, bodyBytes) : worst;
      let owed = false;
      const passed = await this.#passOn(request, response, {
        target,
        body,
        signal,
        onOwed: (now) => (owed = now),
        onAnswer: async (answer) => {
          if (!isSuccess(answer)) return;
          const { usage, failure } = await readAnswer(answer, { model: modelOf(body), unread, signal });
          spending.add(usage);
          // Claude Code may ask again without a word.
          if (failure !== undefined) onRetry(brokenOff(failure));
        },
      });
      // What the endpoint was sent may have to be paid for all the same.
      if (passed !== "answered" && owed) spending.add(unread);
    } finally {
      reserved?.[Symbol.dispose]();
      this.#underWay--;
    }
  }

  #worstOf(body: Members, bodyBytes: number): MeteredUsage {
    const { fallbackModel, policy } = this.#options;
    const { max_tokens: maxTokens } = body;
    return worstUsage(fallbackModel === undefined ? [modelOf(body)] : [modelOf(body), fallbackModel], {
      bodyBytes,
      // Anything else is the endpoint's to refuse.
      maxTokens:
        Number.isInteger(maxTokens) && (maxTokens as number) >= 0 ? (maxTokens as number) : policy.maxOutputTokens,
    });
  }

  /** Resolves once the answer has been passed on, one was made here, or Claude has gone before there was one. */
  async #passOn(
    request: IncomingMessage,
    response: ServerResponse,
    given: {
      target: URL;
      body: Members;
      /** See goneSignal. */
      signal: AbortSignal;
      onOwed?: (owed: boolean) => void;
      onAnswer?: (answer: IncomingMessage) => Promise<void>;
    },
  ): Promise<"answered" | "refused" | "gone"> {
    const { credentials, logger, endpoint, onReach, silence: limits = SILENCE_LIMITS } = this.#options;
    const { signal } = given;
    const credential = await readCredential(credentials, logger);
    if (signal.aborted) return "gone";
    if (credential === undefined) {
      refuseForNow(response, "ClaudeCluster has no credential for the model at the moment.");
      return "refused";
    }
    const startMs = Date.now();
    const quiet = `model endpoint ${endpoint.host} has said nothing for ${limits.noticeMs / 1000} s`;
    using silence = new Silence(limits.noticeMs, (silent) => onReach(silent ? quiet : undefined));
    let answer: IncomingMessage;
    try {
      answer = await this.#ask(request, { ...given, credential, onRetry: () => silence.end() });
      silence.end();
    } catch (error) {
      if (signal.aborted) return "gone";
      logger.warn({ code: (error as NodeJS.ErrnoException).code }, "model endpoint not reached");
      refuse(response, 502, "api_error", `ClaudeCluster: ${notReached(endpoint, error)}.`);
      return "refused";
    }
    const place = redirect(answer, given.target);
    if (place !== undefined) {
      answer.resume();
      const reason = `model endpoint ${endpoint.host} redirects to ${place}`;
      onReach(reason);
      response.setHeader("x-should-retry", "false");
      refuse(response, 502, "api_error", `ClaudeCluster: ${reason}.`);
      return "refused";
    }
    logger.debug({ status: answer.statusCode, elapsedMs: Date.now() - startMs }, "model request");
    answer.on("error", () => response.destroy());
    if (answer.statusCode === 401 && (await isRenewed(credentials, credential, logger))) {
      answer.resume();
      refuseForNow(response, "ClaudeCluster has another credential for the model now.");
      return "refused";
    }
    answer.on("data", (chunk: Buffer) => silence.read(chunk));
    const counted = given.onAnswer?.(answer);
    guard(response, () => {
      response.writeHead(statusOf(answer), headersToClaude(answer.headers));
      answer.pipe(response);
    });
    await counted;
    return "answered";
  }

  /** The betas that are passed on; of the others it is told, once. */
  #betasOf({ headers }: IncomingMessage): string[] {
    const { policy, endpoint, onDecision } = this.#options;
    const { passed, left } = sortBetas([headers["anthropic-beta"] ?? []].flat().join(","), policy.allowedBetas);
    for (const beta of left) {
      if (this.#leftBetas.size >= MAX_TOLD_BETAS || this.#leftBetas.has(beta)) continue;
      this.#leftBetas.add(beta);
      const reason = `without the beta ${cutChars(beta, 60)}, which is not in allowed_betas`;
      onDecision({ destination: authorityOf(endpoint), allowed: true, reason });
    }
    return passed;
  }

  /** Asks the model, and where that is overloaded the other one. */
  async #ask(
    request: IncomingMessage,
    {
      target,
      body,
      credential,
      signal,
      onOwed = () => {},
      onRetry: onSilenceEnd,
    }: {
      target: URL;
      body: Members;
      credential: Credential;
      signal: AbortSignal;
      onOwed?: (owed: boolean) => void;
      /** Told of every attempt that failed, too. */
      onRetry: () => void;
    },
  ): Promise<IncomingMessage> {
    const { wayOut, agents, fallbackModel, onReach, retryDelaysMs, silence = SILENCE_LIMITS } = this.#options;
    const silenceMs = body["stream"] === true ? silence.streamedMs : silence.wholeMs;
    const onRetry = (retry: Retry) => {
      onSilenceEnd();
      this.#options.onRetry(retry);
    };
    const betas = this.#betasOf(request);
    const call = (asked: Members) => {
      // What was looked at is what is sent: of two members with one name, say, the one that counts here.
      const content = Buffer.from(JSON.stringify(asked));
      const headers = { ...headersToModel(request, { credential, betas }), "content-length": content.length };
      return callModel(
        { target, headers, content, wayOut, agents, silenceMs, signal },
        { onRetry, onReach, onOwed, retryDelaysMs },
      );
    };
    const answer = await call(body);
    if (!isOverloaded(answer) || fallbackModel === undefined || fallbackModel === body["model"]) return answer;
    answer.resume();
    const reason = `overloaded, ${fallbackModel} is asked instead`;
    onRetry({ attempt: 1, maxAttemptCount: 1, delayMs: 0, httpStatus: answer.statusCode ?? 0, reason });
    return await call({ ...body, model: fallbackModel });
  }
}

/** An answer that had begun and then failed: whether and when it is asked for again is Claude Code's to decide. */
function brokenOff(failure: string): Retry {
  const reason = `${failure} in the middle of an answer`;
  return { attempt: 1, maxAttemptCount: 0, delayMs: 0, httpStatus: 0, reason };
}

/** Counts what an answer used while it passes. Resolves when it has come, or was broken off: with why, unless Claude gave it up. */
async function readAnswer(
  answer: IncomingMessage,
  { model, unread, signal }: { model: string; unread: MeteredUsage; signal: AbortSignal },
): Promise<{ usage: MeteredUsage; failure: string | undefined }> {
  const streamed = /^text\/event-stream\b/.test(answer.headers["content-type"] ?? "");
  const reader = new UsageReader(model, { streamed, unread });
  const plain = decoded(answer);
  plain?.on("data", (chunk: Buffer) => reader.push(chunk));
  let closed: string | undefined;
  answer.once("error", () => (closed = signal.aborted ? undefined : "connection closed"));
  await finished(plain ?? answer).catch(() => {});
  return { usage: reader.usage(), failure: reader.failure ?? closed };
}

/** Where an answer leads instead of being one; undefined if it is one. Claude could not follow. */
function redirect({ statusCode = 0, headers: { location } }: IncomingMessage, from: URL): string | undefined {
  if (statusCode < 300 || statusCode >= 400 || statusCode === 304) return undefined;
  const place = location !== undefined && URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  return place === undefined ? "nowhere" : cutChars(place.origin + place.pathname, 200);
}

function isSuccess({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300;
}

function modelOf({ model }: Members): string {
  return typeof model === "string" ? model : "";
}

/** Never rejects: a credential that cannot be read is none. */
async function readCredential(credentials: CredentialSource, logger: Logger): Promise<Credential | undefined> {
  try {
    return await credentials.read();
  } catch (error) {
    logger.error({ err: error }, "credential cannot be read");
    return undefined;
  }
}

/** Whether there is another credential than the one that the endpoint has refused. Never rejects. */
async function isRenewed(credentials: CredentialSource, refused: Credential, logger: Logger): Promise<boolean> {
  try {
    const now = await credentials.renew(refused);
    const renewed = now !== undefined && (now.kind !== refused.kind || now.value !== refused.value);
    logger.warn({ renewed }, "the model's endpoint refused the credential");
    return renewed;
  } catch (error) {
    logger.error({ err: error }, "credential cannot be read");
    return false;
  }
}

/** Claude's client tries again what it is told to, and the next attempt gets the credential of then. */
function refuseForNow(response: ServerResponse, message: string): void {
  response.setHeader("x-should-retry", "true");
  refuse(response, 503, "api_error", message);
}

function refuse(response: ServerResponse, status: number, type: string, message: string): void {
  const body = JSON.stringify({ type: "error", error: { type, message } });
  response
    .writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
    .end(body);
}
