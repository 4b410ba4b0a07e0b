import { AppError } from "./app-error.ts";
import type { SessionEvent } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";

/** Where a reader of a session's log begins, and what ends it. */
export interface ReadOptions {
  /** The last event that the reader has. 0: none. */
  afterSequence: number;
  /** Ends the reader, silently. */
  signal: AbortSignal;
}

/**
 * Log of a session, to be read by any number of readers, each at its own pace. A reader is a number and a signal: it holds up
 * neither the writer nor other readers, and nothing is kept for it.
 */
export interface LogReader {
  /**
   * Yields the events after a number in batches, each event once and in order, as soon as there are any: what has gathered
   * since the batch before comes in one, as far as it fits one message. No batch is empty. Ends after sessionFinished. Throws
   * SEQUENCE_UNKNOWN for a number that is yet to come.
   */
  read(options: ReadOptions): AsyncGenerator<SessionEvent[], undefined>;
}

/** Throws SEQUENCE_UNKNOWN unless a reader may begin after this event. */
export function checkSequence(afterSequence: number, lastSequence: number): void {
  if (afterSequence >= 0 && afterSequence <= lastSequence) return;
  throw new AppError("SEQUENCE_UNKNOWN", `There is no event ${afterSequence}; the newest is ${lastSequence}.`, {
    metadata: { after_sequence: String(afterSequence), last_sequence: String(lastSequence) },
  });
}
