import type { IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { causeOf, countBytes } from "../http-exchange.ts";
import type { Agents, WayOut } from "../way-out.ts";

/** Request to the model's endpoint, ready to be sent, several times if need be. */
export interface ModelCall {
  target: URL;
  headers: Record<string, string | number>;
  content: Uint8Array;
  wayOut: WayOut;
  agents: Agents;
  /** Time without a byte after which the connection ends (ms). Default: none. */
  silenceMs?: number;
  /** Signal that is aborted when nobody waits for the answer any more. */
  signal: AbortSignal;
  /** Called with bytes that went out or came in. Default: nobody counts. */
  onBytes?: ((count: number) => void) | undefined;
}

/** Attempt that failed and is followed by another. */
export interface Retry {
  /** Number of the attempt, from 1. */
  attempt: number;
  maxAttemptCount: number;
  delayMs: number;
  /** HTTP status of the answer. 0: there was none. */
  httpStatus: number;
  reason: string;
}

/** Calls about a request while it is under way. */
export interface CallObserver {
  /** Called with every attempt that failed and is followed by another. */
  onRetry: (retry: Retry) => void;
  /**
   * Called after every attempt that somebody waited for, with the reason in a few words if the endpoint was not
   * reached, otherwise with undefined.
   */
  onReach: (unreached: string | undefined) => void;
  /**
   * Called with true when a request begins to go out, and with false when its answer begins to come, or its connection
   * turns out to have been closed before. What is owed may have to be paid for.
   */
  onOwed: (owed: boolean) => void;
  /** Pauses between attempts (ms). Default: RETRY_DELAYS_MS. */
  retryDelaysMs?: readonly number[] | undefined;
}

/**
 * Pauses between attempts (ms) when the endpoint is busy or was not reached. Longer waits are left to Claude Code,
 * whose user can see them.
 */
export const RETRY_DELAYS_MS: readonly number[] = [500, 1000, 2000];
/** An endpoint that names a time is obeyed up to this much. */
const MAX_RETRY_AFTER_MS = 5000;
const OVERLOADED = 529;

/**
 * Sends a request and resolves with the head of the answer. It is sent again after a pause if the endpoint was not
 * reached, or is busy (429, 529) without naming a long time. A request that was sent and not answered is not repeated:
 * it may have to be paid for. Rejects with the error of the last attempt, or on abort.
 */
export async function callModel(
  call: ModelCall,
  { onRetry, onReach, onOwed, retryDelaysMs = RETRY_DELAYS_MS }: CallObserver,
): Promise<IncomingMessage> {
  let owed = false;
  const tellOwed = (now: boolean) => onOwed((owed = now));
  for (let attempt = 1; ; attempt++) {
    const outcome = await sendOnce(call, tellOwed).then(
      (answer) => ({ answer }),
      (error: unknown) => ({ error, unreached: notReached(call.target, error) }),
    );
    if (!call.signal.aborted) onReach("error" in outcome ? outcome.unreached : undefined);
    const retry = call.signal.aborted || owed ? undefined : retryOf(outcome, retryDelaysMs[attempt - 1]);
    if (retry === undefined) {
      if ("error" in outcome) throw outcome.error;
      return outcome.answer;
    }
    if ("answer" in outcome) outcome.answer.resume();
    onRetry({ ...retry, attempt, maxAttemptCount: retryDelaysMs.length + 1 });
    await delay(retry.delayMs, undefined, { signal: call.signal });
  }
}

/** Returns a sentence that says which endpoint was not reached, and why. */
export function notReached(target: URL, error: unknown): string {
  return `model endpoint ${target.host} not reached (${causeOf(error)})`;
}

/** Returns whether a status means that the endpoint has more to do than it can. */
export function isOverloaded(answer: IncomingMessage): boolean {
  return answer.statusCode === OVERLOADED;
}

function sendOnce(
  { target, headers, content, wayOut, agents, silenceMs, signal, onBytes }: ModelCall,
  onOwed: CallObserver["onOwed"],
): Promise<IncomingMessage> {
  const tls = target.protocol === "https:";
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const request = wayOut.request(target, { method: "POST", headers, timeout: silenceMs ?? 0 }, agents);
    countBytes(request, onBytes);
    // Not by Node's own option, nor with an error: as the answer ends, that would be one of a socket that nobody listens to.
    const abort = () => void request.destroy();
    const over = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    request.once("close", over);
    request.on("socket", (socket) => {
      // A connection of TLS that is new is not agreed on yet, also where it comes through a proxy.
      if (tls ? request.reusedSocket : !socket.connecting) return onOwed(true);
      const open = tls ? "secureConnect" : "connect";
      const onOpen = () => onOwed(true);
      socket.once(open, onOpen);
      request.once("close", () => socket.off(open, onOpen));
    });
    request.on("timeout", () => {
      const error = new Error(`it said nothing for ${(silenceMs ?? 0) / 1000} s`);
      // Before an answer it is the request's; the answer's own is told to whoever reads it.
      request.destroy(error);
    });
    request.on("response", (answer) => {
      onOwed(false);
      answer.once("end", over);
      resolve(answer);
    });
    // It stays: what goes wrong with an answer that is under way is told to the answer too.
    request.on("error", (error) => {
      // The endpoint closed a connection that it had served before as this came: https://www.rfc-editor.org/rfc/rfc9112#section-9.3.1
      if (request.reusedSocket && isReset(error) && !signal.aborted) onOwed(false);
      reject(error);
    });
    request.end(content);
  });
}

function isReset({ code }: NodeJS.ErrnoException): boolean {
  return code === "ECONNRESET" || code === "EPIPE";
}

function retryOf(
  outcome: { answer: IncomingMessage } | { unreached: string },
  delayMs: number | undefined,
): Pick<Retry, "delayMs" | "httpStatus" | "reason"> | undefined {
  if (delayMs === undefined) return undefined;
  if ("unreached" in outcome) return { delayMs, httpStatus: 0, reason: outcome.unreached };
  const { statusCode: httpStatus = 0, headers } = outcome.answer;
  if (httpStatus !== 429 && httpStatus !== OVERLOADED) return undefined;
  if (headers["x-should-retry"] === "false") return undefined;
  const wantedMs = 1000 * Number(headers["retry-after"] ?? 0);
  if (!(wantedMs <= MAX_RETRY_AFTER_MS)) return undefined;
  return { delayMs: Math.max(delayMs, wantedMs), httpStatus, reason: httpStatus === 429 ? "rate_limit" : "overloaded" };
}
