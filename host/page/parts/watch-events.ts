import type { WatchEventsResponse } from "../../../proto/control.ts";
import { sessionService } from "../client.ts";
import { liveStream } from "./live-stream.ts";

/** A browser has six connections to a host, for all of its tabs and calls; a stream keeps one. */
const MAX_STREAMS = 3;

let streams = 0;
/** Tells that a stream has ended. */
const turns = new EventTarget();

/**
 * Yields what the host says of a session after an event, as `liveStream` does; it waits while too many others are under way.
 * Throws a ConnectError.
 */
export async function* watchEvents(
  request: { sessionId: string; afterSequence: number },
  { signal }: { signal: AbortSignal },
): AsyncGenerator<WatchEventsResponse> {
  while (streams >= MAX_STREAMS) {
    if (signal.aborted) return;
    await nextTurn(signal);
  }
  streams += 1;
  try {
    yield* liveStream((ends) => sessionService.watchEvents(request, { signal: ends }), { signal });
  } finally {
    streams -= 1;
    turns.dispatchEvent(new Event("turn"));
  }
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
