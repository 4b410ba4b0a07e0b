import type { SessionEvent } from "../../proto/index.ts";

/** Yields the events of a reader's batches one by one. Leaving the loop ends the reader. */
export async function* eachEvent(batches: AsyncIterable<SessionEvent[]>): AsyncGenerator<SessionEvent> {
  for await (const batch of batches) yield* batch;
}
