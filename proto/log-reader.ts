import { AppError } from "./app-error.ts";
import type { SessionEvent } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";

/** Start of a reader in a session's log, and its end. */
export interface ReadOptions {
  /** Number of the last event that the reader has. 0: it has none. */
  afterSequence: number;
  /** Signal that ends the reader without an error. */
  signal: AbortSignal;
}

/**
 * Log of a session that any number of readers can read, each at its own pace. A reader is a number and a signal:
 * nothing is kept for it, and it holds up neither the writer nor other readers.
 */
export interface LogReader {
  /**
   * Yields the events after a number in batches, each event once and in order, and waits for more. A batch holds what
   * has gathered since the one before, at least one event, as far as it fits one message. Ends after sessionFinished.
   * Throws SEQUENCE_UNKNOWN for a number that has not come yet.
   */
  read(options: ReadOptions): AsyncGenerator<SessionEvent[], undefined>;
}

/** Checks that a reader may begin after an event. Throws SEQUENCE_UNKNOWN. */
export function checkSequence(afterSequence: number, lastSequence: number): void {
  if (afterSequence >= 0 && afterSequence <= lastSequence) return;
  throw new AppError("SEQUENCE_UNKNOWN", `There is no event ${afterSequence}; the newest is ${lastSequence}.`, {
    metadata: { after_sequence: String(afterSequence), last_sequence: String(lastSequence) },
  });
}
