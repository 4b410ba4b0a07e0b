import { create } from "@bufbuild/protobuf";
import {
  type EventBatch,
  EventBatchSchema,
  type Heartbeat,
  HeartbeatSchema,
} from "./gen/claudecluster/agent/v1alpha1/agent_service_pb.ts";
import type { SessionEvent } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";
import { Notifier } from "./notifier.ts";

/** What follows the first message on every stream of events. */
export type FeedItem = { case: "events"; value: EventBatch } | { case: "heartbeat"; value: Heartbeat };

export interface EventFeedOptions<Other> {
  /** A heartbeat comes after this long without anything else (ms). */
  heartbeatMs: number;
  /** What is to be told between the events. Its end is not the feed's. Default: nothing. */
  others?: AsyncGenerator<Other> | undefined;
  /** Makes the message of a batch. Default: one that holds the events as they are. */
  pack?: ((events: SessionEvent[]) => EventBatch) | undefined;
}

/**
 * Yields a reader's batches, as they are to be sent, up to the last one. Asks for a batch only once the one before has been
 * taken, so that events gather in the log and nowhere else. Throws what its sources throw. They are to end with the caller's signal.
 */
export async function* eventFeed<Other = never>(
  batches: AsyncGenerator<SessionEvent[]>,
  { heartbeatMs, others, pack = plainBatch }: EventFeedOptions<Other>,
): AsyncGenerator<FeedItem | Other> {
  const arrived = new Notifier();
  const events = new Pull(batches, arrived);
  const said = others && new Pull(others, arrived);
  try {
    for (;;) {
      const other = said?.take();
      if (other?.done === false) yield other.value;
      const batch = events.take();
      if (batch?.done === true) return;
      if (batch !== undefined) yield { case: "events", value: pack(batch.value) };
      else if (other?.done !== false && !(await arrived.next({ timeoutMs: heartbeatMs }))) {
        yield { case: "heartbeat", value: create(HeartbeatSchema) };
      }
    }
  } finally {
    events.leave();
    said?.leave();
  }
}

function plainBatch(events: SessionEvent[]): EventBatch {
  return create(EventBatchSchema, { events });
}

/** Source that is asked for one value at a time, by whoever does not want to wait for it. */
class Pull<T> {
  readonly #source: AsyncGenerator<T>;
  readonly #arrived: Notifier;
  #asked = false;
  #result: IteratorResult<T> | undefined;
  #failure: { error: unknown } | undefined;

  constructor(source: AsyncGenerator<T>, arrived: Notifier) {
    this.#source = source;
    this.#arrived = arrived;
  }

  /** Returns the value that was asked for; undefined until it has come. The end is returned every time. */
  take(): IteratorResult<T> | undefined {
    if (this.#failure !== undefined) throw this.#failure.error;
    const result = this.#result;
    if (result?.done === true) return result;
    this.#result = undefined;
    if (result !== undefined) this.#asked = false;
    else if (!this.#asked) this.#ask();
    return result;
  }

  /** Nothing more is wanted. */
  leave(): void {
    // One that is waiting ends with the caller's signal.
    void this.#source.return(undefined).catch(() => {});
  }

  #ask(): void {
    this.#asked = true;
    const arrive = (failure?: { error: unknown }) => {
      this.#failure = failure;
      this.#arrived.notify();
    };
    this.#source.next().then(
      (result) => {
        this.#result = result;
        arrive();
      },
      (error: unknown) => arrive({ error }),
    );
  }
}
