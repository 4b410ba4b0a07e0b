import { create } from "@bufbuild/protobuf";
import {
  type EventBatch,
  EventBatchSchema,
  type Heartbeat,
  HeartbeatSchema,
  type RequestRefused,
  type SessionEvent,
} from "../../proto/index.ts";

/** What follows the first message on every stream of events. */
export type FeedItem =
  | { case: "events"; value: EventBatch }
  | { case: "heartbeat"; value: Heartbeat }
  | { case: "requestRefused"; value: RequestRefused };

/** A batch and what is read ahead stay below these: a reader that has stopped reading costs no more. */
const MAX_EVENTS = 256;
const MAX_BYTES = 128 * 1024;
/** A caller that only sends what is refused has to read the refusals at some time. */
const MAX_REFUSALS = 64;

export interface SessionFeedOptions {
  /** The events, until the signal. */
  open(signal: AbortSignal): AsyncIterable<SessionEvent>;
  /** A heartbeat is sent after this long without anything else, in ms. */
  heartbeatMs: number;
  signal: AbortSignal;
}

/**
 * One reader's stream of a session. Events are sent at once; those that gather while the reader
 * takes its time come in one batch. Reads ahead a bounded number, so a reader that has stopped
 * reading holds up nobody and costs little.
 */
export class SessionFeed {
  readonly #options: SessionFeedOptions;
  #events: SessionEvent[] = [];
  #bytes = 0;
  #refusals: RequestRefused[] = [];
  #wakeReader = () => {};
  #wakeWriters: (() => void)[] = [];

  constructor(options: SessionFeedOptions) {
    this.#options = options;
  }

  /** Tells the reader that a request was refused. Waits while too many refusals have not been read. */
  async refuse(refusal: RequestRefused): Promise<void> {
    this.#refusals.push(refusal);
    this.#wakeReader();
    while (this.#refusals.length >= MAX_REFUSALS && !this.#options.signal.aborted) await this.#room();
  }

  /** Yields until the last event or the signal. Throws what the source throws. */
  async *read(): AsyncGenerator<FeedItem> {
    // A plain signal: one that is made of others looks at them all whenever it is asked.
    const over = new AbortController();
    const { signal } = over;
    const onAbort = () => {
      over.abort();
      this.#wakeAll();
    };
    if (this.#options.signal.aborted) onAbort();
    else this.#options.signal.addEventListener("abort", onAbort, { once: true });
    let ended = false;
    const pumping = this.#pump(signal).finally(() => {
      ended = true;
      this.#wakeReader();
    });
    // Looked at below, once what was read before has been sent.
    pumping.catch(() => {});
    try {
      for (;;) {
        if (signal.aborted) return;
        const refusal = this.#refusals.shift();
        if (refusal !== undefined) yield { case: "requestRefused", value: refusal };
        else if (this.#events.length > 0)
          yield { case: "events", value: create(EventBatchSchema, { events: this.#take() }) };
        else if (ended) return await pumping;
        else if (!(await this.#changed())) yield { case: "heartbeat", value: create(HeartbeatSchema) };
        this.#wakeAllWriters();
      }
    } finally {
      over.abort();
      this.#options.signal.removeEventListener("abort", onAbort);
    }
  }

  async #pump(signal: AbortSignal): Promise<void> {
    for await (const event of this.#options.open(signal)) {
      this.#events.push(event);
      this.#bytes += roughSize(event);
      this.#wakeReader();
      while (!signal.aborted && (this.#events.length >= MAX_EVENTS || this.#bytes >= MAX_BYTES)) await this.#room();
      if (signal.aborted) return;
    }
  }

  #take(): SessionEvent[] {
    const events = this.#events;
    this.#events = [];
    this.#bytes = 0;
    return events;
  }

  /** Resolves true on a change, false when there was none for long. */
  #changed(): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (changed: boolean) => {
        clearTimeout(timer);
        this.#wakeReader = () => {};
        resolve(changed);
      };
      const timer = setTimeout(() => settle(false), this.#options.heartbeatMs);
      this.#wakeReader = () => settle(true);
    });
  }

  #room(): Promise<void> {
    return new Promise((resolve) => this.#wakeWriters.push(resolve));
  }

  #wakeAll(): void {
    this.#wakeReader();
    this.#wakeAllWriters();
  }

  #wakeAllWriters(): void {
    for (const wake of this.#wakeWriters.splice(0)) wake();
  }
}

/** The bytes of an event, near enough for a bound and without encoding it. */
function roughSize({ event }: SessionEvent): number {
  let size = 100;
  for (const value of Object.values(event.value ?? {}) as unknown[]) {
    if (typeof value === "string" || value instanceof Uint8Array) size += value.length;
    else if (Array.isArray(value)) size += value.length * 100;
  }
  return size;
}
