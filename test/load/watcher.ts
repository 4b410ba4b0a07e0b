import type { Sessions } from "../../host/session/sessions.ts";
import { emissionTime } from "./emitting-agent.ts";
import { eachEvent } from "../support/each-event.ts";

/** What a watcher has seen of a session. */
export interface Seen {
  eventCount: number;
  /** A number was missing, doubled, or out of order. */
  gapCount: number;
  finished: boolean;
}

export interface WatcherOptions {
  signal: AbortSignal;
  /** Called at each event with the time from its emission to here, in ms; undefined if it has none. */
  onEvent?: (ms: number | undefined) => void;
  onFirst?: () => void;
  /** It stops reading after its first event until this resolves. */
  stalledUntil?: Promise<void>;
}

/** Watches one session to its end or the signal. */
export async function watch(sessions: Sessions, sessionId: string, options: WatcherOptions): Promise<Seen> {
  const { signal, onEvent, onFirst, stalledUntil } = options;
  const seen: Seen = { eventCount: 0, gapCount: 0, finished: false };
  let last = 0;
  for await (const { sequence, event } of eachEvent(sessions.watch(sessionId, { afterSequence: 0, signal }))) {
    if (sequence !== last + 1) seen.gapCount++;
    last = sequence;
    seen.finished = event.case === "sessionFinished";
    const time = emissionTime(event);
    onEvent?.(time === undefined ? undefined : Number(process.hrtime.bigint() - time) / 1e6);
    if (seen.eventCount++ === 0) {
      onFirst?.();
      await stalledUntil;
    }
  }
  return seen;
}
