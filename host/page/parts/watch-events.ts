import type { WatchEventsResponse } from "../../../proto/control.ts";
import { sessionService } from "../client.ts";

/** The host says something every five seconds; a stream that is silent for so long is dead (ms). */
const SILENCE_MS = 20_000;
/** A browser has six connections to a host, for all of its tabs and calls; a stream keeps one. */
const MAX_STREAMS = 3;

let streams = 0;
/** Tells that a stream has ended, or that the page is hidden or seen again. */
const turns = new EventTarget();
const turn = () => turns.dispatchEvent(new Event("turn"));
document.addEventListener("visibilitychange", turn);

/**
 * Yields what the host says of a session after an event, until its end, the signal or silence. Throws a ConnectError. It waits
 * while the page is hidden or too many others are under way, and is cut off where the page is hidden.
 */
export async function* watchEvents(
  request: { sessionId: string; afterSequence: number },
  { signal }: { signal: AbortSignal },
): AsyncGenerator<WatchEventsResponse> {
  while (streams >= MAX_STREAMS || document.hidden) {
    if (signal.aborted) return;
    await nextTurn(signal);
  }
  streams += 1;
  const over = new AbortController();
  const silent = () => over.abort();
  let timer = setTimeout(silent, SILENCE_MS);
  turns.addEventListener("turn", () => document.hidden && over.abort(), { signal: over.signal });
  try {
    const either = AbortSignal.any([signal, over.signal]);
    for await (const response of sessionService.watchEvents(request, { signal: either })) {
      clearTimeout(timer);
      timer = setTimeout(silent, SILENCE_MS);
      yield response;
    }
  } finally {
    clearTimeout(timer);
    over.abort();
    streams -= 1;
    turn();
  }
}

/** Waits so long (ms), or until the signal. */
export function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}

function nextTurn(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const heard = new AbortController();
    const done = () => {
      heard.abort();
      resolve();
    };
    turns.addEventListener("turn", done, { signal: heard.signal });
    signal.addEventListener("abort", done, { signal: heard.signal });
  });
}
