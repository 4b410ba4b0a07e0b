import { create } from "@bufbuild/protobuf";
import {
  type EventBatch,
  EventBatchSchema,
  type Heartbeat,
  HeartbeatSchema,
} from "./gen/claudecluster/agent/v1alpha1/agent_service_pb.ts";
import type { SessionEvent } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";
import { Notifier } from "./notifier.ts";

/** Message after the first one on a stream of events: a batch or a heartbeat. */
export type FeedItem = { case: "events"; value: EventBatch } | { case: "heartbeat"; value: Heartbeat };

/** Choices for a feed of values. */
export interface FeedOptions<Value, Item, Other> {
  /** Time without any message after which a heartbeat is sent (ms). */
  heartbeatMs: number;
  /** Messages to be sent between the values. The feed does not end with them. Default: none. */
  others?: AsyncGenerator<Other> | undefined;
  /** Function that makes the message of a value. */
  toItem: (value: Value) => Item;
}

/** Choices for a feed of events. */
export interface EventFeedOptions<Other> extends Omit<FeedOptions<SessionEvent[], FeedItem, Other>, "toItem"> {
  /** Function that makes the message of a batch. Default: the message holds the events as they are. */
  pack?: ((events: SessionEvent[]) => EventBatch) | undefined;
}

/** Returns a reader's batches as messages, and heartbeats between them: see `feed`. */
export function eventFeed<Other = never>(
  batches: AsyncGenerator<SessionEvent[]>,
  { pack = plainBatch, ...options }: EventFeedOptions<Other>,
): AsyncGenerator<FeedItem | Other> {
  return feed(batches, { ...options, toItem: (batch): FeedItem => ({ case: "events", value: pack(batch) }) });
}

/**
 * Yields a source's values as messages, up to the last one, and heartbeats between them. It asks for a value only when the
 * one before has been taken, so that values gather at their source alone. It throws what its sources throw. The sources must
 * end with the caller's signal.
 */
export async function* feed<Value, Item, Other = never>(
  source: AsyncGenerator<Value>,
  { heartbeatMs, others, toItem }: FeedOptions<Value, Item, Other>,
): AsyncGenerator<Item | { case: "heartbeat"; value: Heartbeat } | Other> {
  const arrived = new Notifier();
  const values = new Pull(source, arrived);
  const said = others && new Pull(others, arrived);
  let silent = false;
  const silence = setTimeout(() => {
    silent = true;
    arrived.notify();
  }, heartbeatMs);
  try {
    for (;;) {
      const other = said?.take();
      if (other?.done === false) yield other.value;
      const value = values.take();
      if (value?.done === true) return;
      if (value !== undefined) yield toItem(value.value);
      else if (other?.done !== false) {
        if (!silent) await arrived.next();
        if (!silent) continue;
        yield { case: "heartbeat", value: create(HeartbeatSchema) };
      }
      silent = false;
      silence.refresh();
    }
  } finally {
    clearTimeout(silence);
    values.leave();
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
