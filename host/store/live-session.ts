import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  changesSession,
  decodeEvent,
  encodeEvent,
  foldEvent,
  Notifier,
  OutputTruncatedSchema,
  type Session,
  type SessionEvent,
  SessionEventSchema,
  SessionSchema,
} from "../../proto/index.ts";
import { EventTail } from "./event-tail.ts";
import { isKept } from "./live-limit.ts";
import type { NewEvent } from "./session-store.ts";

/** Bytes that an event takes in the file beside its own. */
export const ENTRY_BYTES = 64;
/** However much is left out, this often it is said (bytes). */
const NOTICE_BYTES = 64 * 1024 * 1024;

/** The last batch is kept as it is up to this (bytes). */
const LATEST_BYTES = 64 * 1024;
/** Readers who are behind by no more than this share what was decoded for one of them. */
const SHARED_EVENTS = 32;

/** Knowledge of a session from its log. It is replaced as a whole, once a batch has been stored. */
export interface Known {
  /** Fold of the log, as an encoded session. Its lastSequence may be older. */
  readonly snapshot: Uint8Array;
  readonly lastSequence: number;
  /** Agent's number of its newest event. 0: there is none. */
  readonly lastAgentSequence: number;
  /** Bytes that its events take in the file. */
  readonly storedBytes: number;
  /** Bytes that were left out since an event last said so. Undefined: nothing was ever left out. */
  readonly leftOutBytes: number | undefined;
}

/** Batch of numbered events that are to be stored, and the session after them. */
export interface Batch {
  entries: { entry: SessionEvent; data: Uint8Array; agentSequence: number | undefined }[];
  /** Knowledge of the session once they are stored. */
  after: Known;
  /** Session after them. Undefined: its own row need not be written. */
  session: Session | undefined;
  /** Time of sessionFinished, in milliseconds since 1970. Undefined: it is not among them. */
  endTimeMs: number | undefined;
}

/** Live session: one that has not finished, with its newest events and those who wait for the next. */
export class LiveSession {
  #known: Known;
  readonly #tail = new EventTail();
  /** The last batch, or what was last read, for all who read it now; empty if it is large. */
  #latest: SessionEvent[] = [];
  readonly #changed = new Notifier();

  constructor(known: Known) {
    this.#known = known;
  }

  get known(): Known {
    return this.#known;
  }

  /** Returns the session as it is now, a copy for the caller. */
  get session(): Session {
    const { snapshot, lastSequence } = this.#known;
    return Object.assign(fromBinary(SessionSchema, snapshot), { lastSequence });
  }

  /** Plans a batch: numbers events, leaves out those above the limit, and folds the rest. Nothing changes before `commit`. */
  plan(events: readonly NewEvent[], limitBytes: number): Batch {
    let { lastSequence, lastAgentSequence, storedBytes, leftOutBytes } = this.#known;
    let endTimeMs: number | undefined;
    const entries: Batch["entries"] = [];
    const add = ({ event, occurTimeMs, agentSequence }: NewEvent) => {
      const occurTime = timestampFromMs(occurTimeMs);
      const entry = create(SessionEventSchema, { sequence: lastSequence + 1, occurTime, event });
      const data = encodeEvent(entry);
      const size = data.length + ENTRY_BYTES;
      if (agentSequence !== undefined) {
        lastAgentSequence = agentSequence;
        const full = leftOutBytes !== undefined;
        if (!isKept(event.case, { storedBytes: storedBytes + size, limitBytes, full })) return size;
      }
      lastSequence++;
      storedBytes += size;
      entries.push({ entry, data, agentSequence });
      if (event.case === "sessionFinished") endTimeMs = occurTimeMs;
      return 0;
    };
    const tellLeftOut = (occurTimeMs: number) => {
      const value = create(OutputTruncatedSchema, { sizeBytes: BigInt(leftOutBytes ?? 0), source: "log" });
      leftOutBytes = 0;
      add({ event: { case: "outputTruncated", value }, occurTimeMs });
    };
    for (const event of events) {
      if (event.event.case === "sessionFinished" && (leftOutBytes ?? 0) > 0) tellLeftOut(event.occurTimeMs);
      const size = add(event);
      if (size === 0) continue;
      const first = leftOutBytes === undefined;
      leftOutBytes = (leftOutBytes ?? 0) + size;
      if (first || leftOutBytes >= NOTICE_BYTES) tellLeftOut(event.occurTimeMs);
    }
    let session: Session | undefined;
    // The agent's number of an event that is left out is kept nowhere else.
    if (leftOutBytes !== undefined || entries.some(({ entry }) => changesSession(entry.event.case))) {
      session = this.session;
      for (const { entry } of entries) foldEvent(session, entry);
    }
    const snapshot = session === undefined ? this.#known.snapshot : toBinary(SessionSchema, session);
    return {
      entries,
      after: { snapshot, lastSequence, lastAgentSequence, storedBytes, leftOutBytes },
      session,
      endTimeMs,
    };
  }

  /** Takes over a batch that has been stored, and wakes those who wait. */
  commit({ entries, after }: Batch): void {
    this.#known = after;
    if (entries.length === 0) return;
    this.#keepNewest(entries);
    this.#changed.notify();
  }

  /**
   * Returns up to `limit` events after a number. Undefined: they are not all in memory. Readers may get the same array, and
   * do not change it.
   */
  newest({ afterSequence, limit }: { afterSequence: number; limit: number }): SessionEvent[] | undefined {
    const missing = this.#known.lastSequence - afterSequence;
    if (missing <= 0) return [];
    if (missing === this.#latest.length && missing <= limit) return this.#latest;
    const events = this.#tail.newest(missing, limit)?.map(decodeEvent);
    // For the others who come as late.
    if (events?.length === missing && missing <= SHARED_EVENTS) this.#latest = events;
    return events;
  }

  #keepNewest(entries: Batch["entries"]): void {
    let bytes = 0;
    for (const { data } of entries) {
      this.#tail.push(data);
      bytes += data.length;
    }
    this.#latest = bytes > LATEST_BYTES ? [] : entries.map(({ entry }) => entry);
  }

  /** See SessionStore.changed. */
  changed({ afterSequence }: { afterSequence: number }): Promise<boolean> {
    return this.#known.lastSequence > afterSequence ? Promise.resolve(true) : this.#changed.next();
  }

  /** Forgets its newest events: whoever comes late reads them from the file. */
  rest(): void {
    this.#tail.clear();
    this.#latest = [];
  }

  /** See SessionStore.wake. */
  wake(): void {
    this.#changed.notify();
  }
}
