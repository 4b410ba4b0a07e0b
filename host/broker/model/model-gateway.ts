import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { finished } from "node:stream/promises";
import type { MeteredUsage } from "../../../proto/index.ts";
import type { EgressDecision } from "../egress-decision.ts";
import { authorityOf } from "../egress-rules.ts";
import { exchange, goneSignal } from "../http-exchange.ts";
import { RequestBodies } from "../request-bodies.ts";
import type { CheckedRequest } from "./checked-request.ts";
import { decoded } from "./decoded.ts";
import type { Retry } from "./model-call.ts";
import { ModelPassage, type PassageOptions } from "./model-passage.ts";
import { refuse, refuseForNow } from "./model-refusal.ts";
import { type ModelRequest, RequestRecord } from "./model-request.ts";
import { requestChecks } from "./request-checks.ts";
import { UsageReader, worstUsage } from "./usage-reader.ts";

/** Usage of a session, and whether it may use more. */
export interface ModelSpending {
  /** Reserves what a request may cost at most. It may wait until others are counted, until an abort. */
  reserve(worst: MeteredUsage, options: { signal: AbortSignal }): Promise<Reservation>;
  /** Counts an answer of a model, as the request or the answer names it. Does not throw. */
  add(usage: MeteredUsage, model: string): void;
}

/** Permission to send a request, or a sentence that says why not. */
export type Reservation =
  /** It may. To be disposed of once it has been counted. */
  | { held: Disposable }
  /** The model may not be asked again. */
  | { refused: string }
  /** Not now, but perhaps once the others under way have been counted. */
  | { occupied: string };

/** Passage of requests to the model, and what they may cost. */
export interface ModelGatewayOptions extends PassageOptions {
  spending: ModelSpending;
  /** Called with every request that may cost something, once it is over. Default: nobody is told. */
  onRequest?: ((request: ModelRequest) => void) | undefined;
  /** Called for every request that is refused for its content, and for what is left out of one. */
  onDecision: (decision: EgressDecision) => void;
}

/** What Claude needs, and nothing else: every other path of the API would be reached with the user's key. */
const MESSAGES = "/v1/messages";
const PATHS = new Set([MESSAGES, `${MESSAGES}/count_tokens`]);
/** Requests of a session that are under way or wait for others at once. */
const MAX_UNDER_WAY = 16;

/**
 * Returns the gateway between Claude and the model's API: plain HTTP on the container's side, the endpoint with the
 * user's credential on the other. Requests are read, checked and written anew. Answers stream through with
 * backpressure, and their usage is counted.
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
  readonly #passage: ModelPassage;
  #underWay = 0;

  constructor(options: ModelGatewayOptions) {
    this.#options = options;
    this.#passage = new ModelPassage(options);
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
    if (typeof content === "string") {
      const message = "The request is too large: 32 MB, or 64 MB with the others under way.";
      return refuse(response, 413, "request_too_large", message);
    }
    const { endpoint, policy, onDecision } = this.#options;
    // Its memory goes to the thread that checks it.
    const bodyBytes = content.length;
    const signal = goneSignal(request, response);
    const checked = await requestChecks.check(content, policy);
    if ("refused" in checked) {
      const reason = `model request: ${checked.refused}`;
      onDecision({ destination: authorityOf(endpoint), allowed: false, reason });
      return refuse(response, 400, "invalid_request_error", `ClaudeCluster does not pass this on: ${checked.refused}.`);
    }
    const target = new URL(endpoint.pathname.replace(/\/$/, "") + url.pathname, endpoint);
    if (url.searchParams.get("beta") === "true") target.searchParams.set("beta", "true");
    const passed = { target, asked: checked, signal };
    if (url.pathname !== MESSAGES) await this.#passage.passOn(request, response, passed);
    else await this.#meter(request, response, { ...passed, bodyBytes });
  }

  /** Passes on a request that costs something. */
  async #meter(
    request: IncomingMessage,
    response: ServerResponse,
    {
      target,
      asked,
      signal,
      bodyBytes,
    }: { target: URL; asked: CheckedRequest; signal: AbortSignal; bodyBytes: number },
  ): Promise<void> {
    const { spending, onRetry, onRequest } = this.#options;
    if (this.#underWay >= MAX_UNDER_WAY) {
      return refuse(response, 429, "rate_limit_error", `ClaudeCluster passes on ${MAX_UNDER_WAY} requests at once.`);
    }
    this.#underWay++;
    let reserved: Disposable | undefined;
    let record: RequestRecord | undefined;
    try {
      const worst = this.#worstOf(asked, bodyBytes);
      const reservation = await spending.reserve(worst, { signal });
      if ("refused" in reservation) {
        return refuse(response, 400, "invalid_request_error", `ClaudeCluster: ${reservation.refused}`);
      }
      if ("occupied" in reservation) return refuseForNow(response, `ClaudeCluster: ${reservation.occupied}`);
      reserved = reservation.held;
      // A stream says what it used before the first of it is made; all of another answer may have been made when it is cut.
      const unread = asked.streamed ? this.#worstOf({ ...asked, maxTokens: 0 }, bodyBytes) : worst;
      let owed = false;
      const told = (record = new RequestRecord(asked.model, request));
      const passed = await this.#passage.passOn(request, response, {
        target,
        asked,
        signal,
        onOwed(now) {
          owed = now;
          if (now) told.sent();
        },
        onStatus: (status) => told.answered(status),
        onAnswer: async (answer) => {
          if (!isSuccess(answer)) return;
          const { usage, model, failure } = await readAnswer(answer, { model: asked.model, unread, signal });
          spending.add(usage, model);
          told.used(usage, model, failure);
          if (!answer.complete) told.givenUp();
          // Claude Code may ask again without a word.
          if (failure !== undefined) onRetry(brokenOff(failure));
        },
      });
      // What the endpoint was sent may have to be paid for all the same.
      if (passed !== "answered" && owed) {
        spending.add(unread, asked.model);
        told.used(unread);
      }
      if (passed === "gone") told.givenUp();
    } finally {
      const told = record?.told;
      if (told !== undefined) onRequest?.(told);
      reserved?.[Symbol.dispose]();
      this.#underWay--;
    }
  }

  #worstOf({ model, maxTokens }: CheckedRequest, bodyBytes: number): MeteredUsage {
    const { fallbackModel, policy } = this.#options;
    return worstUsage(fallbackModel === undefined ? [model] : [model, fallbackModel], {
      bodyBytes,
      // Anything else is the endpoint's to refuse.
      maxTokens: maxTokens ?? policy.maxOutputTokens,
    });
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
): Promise<{ usage: MeteredUsage; model: string; failure: string | undefined }> {
  const streamed = /^text\/event-stream\b/.test(answer.headers["content-type"] ?? "");
  const reader = new UsageReader(model, { streamed, unread });
  const plain = decoded(answer);
  plain?.on("data", (chunk: Buffer) => reader.push(chunk));
  let closed: string | undefined;
  answer.once("error", () => (closed = signal.aborted ? undefined : "connection closed"));
  await finished(plain ?? answer).catch(() => {});
  return { usage: reader.usage(), model: reader.model, failure: reader.failure ?? closed };
}

function isSuccess({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300;
}
