import type { WatchEventsResponse } from "../../../proto/control.ts";
import { sessionService } from "../client.ts";

/** The host says something every five seconds; a stream that is silent for so long is dead (ms). */
const SILENCE_MS = 20_000;

/** Yields what the host says of a session after an event, until its end, the signal or silence. Throws a ConnectError. */
export async function* watchEvents(
  request: { sessionId: string; afterSequence: number },
  { signal }: { signal: AbortSignal },
): AsyncGenerator<WatchEventsResponse> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const either = AbortSignal.any([signal, silence.signal]);
    for await (const response of sessionService.watchEvents(request, { signal: either })) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      yield response;
    }
  } finally {
    clearTimeout(timer);
    silence.abort();
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
