import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import { cutChars } from "../../../proto/index.ts";
import type { EgressDecision } from "../egress-decision.ts";
import { authorityOf } from "../egress-rules.ts";
import { guard, statusOf } from "../http-exchange.ts";
import type { Agents, WayOut } from "../way-out.ts";
import type { CheckedRequest } from "./checked-request.ts";
import type { Credential, CredentialSource } from "./credential.ts";
import { sortBetas } from "./model-betas.ts";
import { callModel, type CallObserver, isOverloaded, notReached, type Retry } from "./model-call.ts";
import { headersToClaude, headersToModel } from "./model-headers.ts";
import type { ModelPolicy } from "./model-policy.ts";
import { refuse, refuseForNow } from "./model-refusal.ts";
import { requestChecks } from "./request-checks.ts";
import { Silence, SILENCE_LIMITS, type SilenceLimits } from "./silence.ts";
import { isRenewed, readCredential } from "./try-credential.ts";

/** Endpoint, credential and rules that requests are passed on with. */
export interface PassageOptions {
  /** Endpoint of the model, without /v1/messages. */
  endpoint: URL;
  credentials: CredentialSource;
  policy: ModelPolicy;
  /** Model that is asked instead of an overloaded one. Undefined: none. */
  fallbackModel: string | undefined;
  wayOut: WayOut;
  /** Agents that bound and keep the connections to the endpoint. */
  agents: Agents;
  logger: Logger;
  /** Called for what is left out of a request. */
  onDecision: (decision: EgressDecision) => void;
  /** Called with every attempt that failed and is followed by another. */
  onRetry: (retry: Retry) => void;
  /** Called with bytes that went out or came in. Default: nobody counts. */
  onBytes?: ((count: number) => void) | undefined;
  /** Called with every answer as it begins, and the time until then. Status 0: the endpoint was not reached. */
  onAnswer: (answer: { model: string; status: number; elapsedMs: number }) => void;
  /** See CallObserver. */
  onReach: CallObserver["onReach"];
  /** Pauses between attempts (ms). Default: RETRY_DELAYS_MS. */
  retryDelaysMs?: readonly number[];
  /** Limits for silence. Default: SILENCE_LIMITS. */
  silence?: SilenceLimits;
}

/** Betas of a session that it is told of; Claude Code knows fewer. */
const MAX_TOLD_BETAS = 50;

/** Passage of checked requests to the model's endpoint, with the user's credential, and of its answers to Claude. */
export class ModelPassage {
  readonly #options: PassageOptions;
  readonly #leftBetas = new Set<string>();

  constructor(options: PassageOptions) {
    this.#options = options;
  }

  /**
   * Passes a request on. Resolves once its answer has been passed back, one was made here, or Claude has gone before.
   */
  async passOn(
    request: IncomingMessage,
    response: ServerResponse,
    given: {
      target: URL;
      asked: CheckedRequest;
      /** See goneSignal. */
      signal: AbortSignal;
      onOwed?: (owed: boolean) => void;
      /** Called as onAnswer of PassageOptions is. */
      onStatus?: (status: number) => void;
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
    const tellAnswer = (status: number) => {
      given.onStatus?.(status);
      this.#options.onAnswer({ model: given.asked.model, status, elapsedMs: Date.now() - startMs });
    };
    const quiet = `model endpoint ${endpoint.host} has said nothing for ${limits.noticeMs / 1000} s`;
    using silence = Silence.start(limits.noticeMs, (silent) => onReach(silent ? quiet : undefined));
    let answer: IncomingMessage;
    try {
      answer = await this.#ask(request, { ...given, credential, onRetry: () => silence.end() });
      silence.end();
    } catch (error) {
      if (signal.aborted) return "gone";
      tellAnswer(0);
      logger.warn({ code: (error as NodeJS.ErrnoException).code }, "model endpoint not reached");
      refuse(response, 502, "api_error", `ClaudeCluster: ${notReached(endpoint, error)}.`);
      return "refused";
    }
    tellAnswer(answer.statusCode ?? 0);
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
      asked,
      credential,
      signal,
      onOwed = () => {},
      onRetry: onSilenceEnd,
    }: {
      target: URL;
      asked: CheckedRequest;
      credential: Credential;
      signal: AbortSignal;
      onOwed?: (owed: boolean) => void;
      /** Told of every attempt that failed, too. */
      onRetry: () => void;
    },
  ): Promise<IncomingMessage> {
    const { wayOut, agents, fallbackModel, onBytes, onReach, retryDelaysMs, silence = SILENCE_LIMITS } = this.#options;
    const silenceMs = asked.streamed ? silence.streamedMs : silence.wholeMs;
    const onRetry = (retry: Retry) => {
      onSilenceEnd();
      this.#options.onRetry(retry);
    };
    const betas = this.#betasOf(request);
    const call = (content: Uint8Array) => {
      const headers = { ...headersToModel(request, { credential, betas }), "content-length": content.length };
      return callModel(
        { target, headers, content, wayOut, agents, silenceMs, signal, onBytes },
        { onRetry, onReach, onOwed, retryDelaysMs },
      );
    };
    const answer = await call(asked.content);
    if (!isOverloaded(answer) || fallbackModel === undefined || fallbackModel === asked.model) return answer;
    answer.resume();
    const reason = `overloaded, ${fallbackModel} is asked instead`;
    onRetry({ attempt: 1, maxAttemptCount: 1, delayMs: 0, httpStatus: answer.statusCode ?? 0, reason });
    return await call(await requestChecks.withModel(asked.content, fallbackModel));
  }
}

/** Where an answer leads instead of being one; undefined if it is one. Claude could not follow. */
function redirect({ statusCode = 0, headers: { location } }: IncomingMessage, from: URL): string | undefined {
  if (statusCode < 300 || statusCode >= 400 || statusCode === 304) return undefined;
  const place = location !== undefined && URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  return place === undefined ? "nowhere" : cutChars(place.origin + place.pathname, 200);
}
