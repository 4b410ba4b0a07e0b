import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { errorBody } from "./api-error.ts";
import { replyEvents, replyMessage, type ReplyContext, type TimedEvent } from "./reply-events.ts";
import type { Failure, Step } from "./scenario.ts";

export interface SendOptions extends ReplyContext {
  readonly stream: boolean;
  readonly requestId: string;
  readonly signal: AbortSignal;
}

/**
 * Plays a step on a response, failure included. Ends when everything is sent, or rejects with the signal's
 * reason when the client has gone or the server closes.
 */
export async function sendReply(response: ServerResponse, step: Step, options: SendOptions): Promise<void> {
  const { signal, stream } = options;
  if (step.delayMs !== undefined) await sleep(step.delayMs, undefined, { signal });
  const { failure } = step;
  if (failure?.kind === "reset") return cut(response);
  if (failure?.kind === "hang" && failure.afterEvents === undefined) return forever(signal);
  if (failure?.kind === "http") return sendFailure(response, failure, options.requestId);
  const events = replyEvents(step, options);
  if (!stream) {
    await sleep(events.at(-1)?.atMs ?? 0, undefined, { signal });
    if (failure !== undefined) return cut(response);
    return sendJson(response, 200, replyMessage(step, options));
  }
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
  await writeEvents(response, events.slice(0, failure?.afterEvents), signal);
  if (failure !== undefined) await sleep(SETTLE_MS, undefined, { signal });
  switch (failure?.kind) {
    case undefined:
      response.end();
      return;
    case "stream-error":
      response.end(eventText({ ...errorBody(failure.type, failure.message, options.requestId), type: "error" }));
      return;
    case "drop":
      // Ends the connection rather than resetting it: a reset may discard what the client has not read yet.
      response.socket?.destroySoon();
      return;
    case "hang":
      return forever(signal);
    default:
      failure satisfies never;
  }
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function sendFailure(response: ServerResponse, failure: Failure & { kind: "http" }, requestId: string): void {
  if (failure.retryAfterSeconds !== undefined) response.setHeader("retry-after", String(failure.retryAfterSeconds));
  sendJson(response, failure.status, errorBody(failure.type, failure.message, requestId));
}

/** Lets the client work through what it was sent before the stream fails: what it does next depends on how far it got. */
const SETTLE_MS = 200;

/** Paces by the clock, so that a long reply takes the time it says however slow each write is. */
async function writeEvents(
  response: ServerResponse,
  events: readonly TimedEvent[],
  signal: AbortSignal,
): Promise<void> {
  const start = performance.now();
  for (const { atMs, event } of events) {
    const waitMs = start + atMs - performance.now();
    if (waitMs > 0) await sleep(waitMs, undefined, { signal });
    signal.throwIfAborted();
    if (!response.write(eventText(event))) await once(response, "drain", { signal });
  }
}

function eventText(event: { readonly type: string }): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

function cut(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}

async function forever(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
  signal.throwIfAborted();
}
