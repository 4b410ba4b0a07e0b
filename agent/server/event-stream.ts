import { create } from "@bufbuild/protobuf";
import { type EventBatch, EventBatchSchema, type Heartbeat, HeartbeatSchema } from "../../proto/index.ts";
import type { EventLog } from "../../proto/index.ts";

/** What follows a hello, on every stream of events. */
export type EventStreamItem = { case: "events"; value: EventBatch } | { case: "heartbeat"; value: Heartbeat };

/**
 * Yields the events after `afterSequence` up to the last one of the session, and a heartbeat when
 * nothing has happened for a while. What gathers while the caller is not asking comes in one batch.
 */
export async function* eventStream(
  log: EventLog,
  options: { afterSequence: number; heartbeatMs: number; signal: AbortSignal },
): AsyncGenerator<EventStreamItem> {
  const { afterSequence, heartbeatMs, signal } = options;
  for await (const events of log.read({ afterSequence, signal, idleMs: heartbeatMs })) {
    yield events.length === 0
      ? { case: "heartbeat", value: create(HeartbeatSchema) }
      : { case: "events", value: create(EventBatchSchema, { events }) };
  }
}
