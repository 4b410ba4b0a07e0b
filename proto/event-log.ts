import { create, toBinary } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AppError } from "./app-error.ts";
import { type SessionEvent, SessionEventSchema } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";
import { checkSequence, type LogReader, type ReadOptions } from "./log-reader.ts";
import { Notifier } from "./notifier.ts";
import { onAbort } from "./on-abort.ts";

/** Content of an event that has no number yet: the oneof `event` of a SessionEvent. */
export type EventBody = Exclude<SessionEvent["event"], { case: undefined }>;

/** Limits of an event log. */
export interface EventLogOptions {
  /** Bytes of unacknowledged events above which `roomy` waits. Default: 64 MiB. */
  maxUnacknowledgedBytes?: number;
  /** Bytes of events, all together, up to which acknowledged ones are kept for late readers. Default: 8 MiB. */
  keptBytes?: number;
  /** Clock, in milliseconds since 1970. Default: the system's. */
  now?: () => number;
}

/** Most bytes of an event on the wire. */
export const MAX_EVENT_BYTES = 64 * 1024;

/** Two clocks that tell of one thing, or one that is set right, differ by less (ms). */
const CLOCK_NOISE_MS = 1000;

/**
 * Returns the time to write for an event that follows one of `lastMs`. A time less than a second before that is noise
 * between clocks, and becomes `lastMs`; any other is kept.
 */
export function steadyTime(lastMs: number, timeMs: number): number {
  return timeMs < lastMs && lastMs - timeMs < CLOCK_NOISE_MS ? lastMs : timeMs;
}

/** What an event takes in memory beside its bytes: a flood of tiny ones is as heavy as a few large ones. */
const ENTRY_BYTES = 1024;
/** A batch is one message: far below gRPC's usual 4 MiB, and small enough not to hold up others. */
const MAX_BATCH_LENGTH = 100;
const MAX_BATCH_BYTES = 512 * 1024;

/**
 * Log of a session in memory. Its events are numbered from 1 without gaps.
 *
 * An event is kept until it is acknowledged, and after that while there is room. A writer has to wait for `roomy`
 * before it produces more. Readers hold up neither the writer nor each other.
 */
export class EventLog implements LogReader {
  readonly #entries: { event: SessionEvent; size: number }[] = [];
  readonly #maxBytes: number;
  readonly #keptBytes: number;
  readonly #now: () => number;
  #first = 1;
  #acknowledged = 0;
  /** Bytes of all entries, and of those that have not been acknowledged. */
  #bytes = 0;
  #unacknowledgedBytes = 0;
  #lastMs = 0;
  #ended = false;
  readonly #changed = new Notifier();

  constructor(options: EventLogOptions = {}) {
    this.#maxBytes = options.maxUnacknowledgedBytes ?? 64 * 1024 * 1024;
    this.#keptBytes = options.keptBytes ?? 8 * 1024 * 1024;
    this.#now = options.now ?? Date.now;
  }

  /** Number of the newest event; 0 if there is none. */
  get lastSequence(): number {
    return this.#first + this.#entries.length - 1;
  }

  /** Number of the newest event that has been acknowledged. */
  get acknowledgedSequence(): number {
    return this.#acknowledged;
  }

  /** Whether the log has ended: its last event is sessionFinished. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Adds an event and returns it with its number. Throws LOG_ENDED. */
  append(event: EventBody): SessionEvent {
    if (this.#ended) throw new AppError("LOG_ENDED", `The session is over; "${event.case}" came too late.`);
    this.#lastMs = steadyTime(this.#lastMs, this.#now());
    const occurTime: Timestamp = timestampFromMs(this.#lastMs);
    const entry = create(SessionEventSchema, { sequence: this.lastSequence + 1, occurTime, event });
    const size = toBinary(SessionEventSchema, entry).length + ENTRY_BYTES;
    this.#entries.push({ event: entry, size });
    this.#bytes += size;
    this.#unacknowledgedBytes += size;
    this.#ended = event.case === "sessionFinished";
    this.#changed.notify();
    return entry;
  }

  /** Permits the log to forget the events up to `sequence`. It does so when it needs their room. */
  acknowledge(sequence: number): void {
    const last = Math.min(sequence, this.lastSequence);
    for (; this.#acknowledged < last; this.#acknowledged++) {
      this.#unacknowledgedBytes -= this.#entries[this.#acknowledged + 1 - this.#first]!.size;
    }
    let count = 0;
    while (this.#bytes > this.#keptBytes && this.#first + count <= this.#acknowledged) {
      this.#bytes -= this.#entries[count++]!.size;
    }
    this.#entries.splice(0, count);
    this.#first += count;
    this.#changed.notify();
  }

  /** Resolves when there is room for more events. Rejects with the signal's reason. */
  async roomy(signal: AbortSignal): Promise<void> {
    while (this.#unacknowledgedBytes > this.#maxBytes) {
      if (!(await this.#changed.next({ signal }))) signal.throwIfAborted();
    }
  }

  /**
   * Yields the events after a number, as LogReader says. Throws EVENTS_DROPPED if the next one is not kept any more.
   */
  async *read({ afterSequence, signal }: ReadOptions): AsyncGenerator<SessionEvent[], undefined> {
    let after = afterSequence;
    checkSequence(after, this.lastSequence);
    using _woken = onAbort([signal], () => this.#changed.notify());
    while (!signal.aborted) {
      if (after < this.#first - 1) {
        throw new AppError("EVENTS_DROPPED", `Events ${after + 1} to ${this.#first - 1} are not kept any more.`, {
          metadata: { first_sequence: String(this.#first) },
          help: `Read them from the host, or start after ${this.#first - 1}.`,
        });
      }
      const batch = this.#batch(after - this.#first + 1);
      if (batch.length > 0) {
        after += batch.length;
        yield batch;
      } else if (this.#ended) {
        return;
      } else {
        await this.#changed.next();
      }
    }
  }

  #batch(start: number): SessionEvent[] {
    const events: SessionEvent[] = [];
    for (let index = start, bytes = 0; index < this.#entries.length && events.length < MAX_BATCH_LENGTH; index++) {
      const { event, size } = this.#entries[index]!;
      bytes += size;
      if (bytes > MAX_BATCH_BYTES && events.length > 0) break;
      events.push(event);
    }
    return events;
  }
}
