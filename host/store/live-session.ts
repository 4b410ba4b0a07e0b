import { clone, create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  changesSession,
  foldEvent,
  OutputTruncatedSchema,
  type Session,
  type SessionEvent,
  SessionEventSchema,
  SessionSchema,
} from "../../proto/index.ts";
import { isKept } from "./live-limit.ts";
import type { NewEvent } from "./session-store.ts";

/** What an event takes in the file beside its bytes. */
export const ENTRY_BYTES = 64;
/** However much is left out, this often it is said (bytes). */
const NOTICE_BYTES = 64 * 1024 * 1024;

/** What is known of a session from its log. Replaced as a whole, once a batch has been stored. */
export interface Known {
  readonly session: Session;
  readonly lastAgentSequence: number;
  /** What its events take in the file. */
  readonly storedBytes: number;
  /** What was left out, and has not been said yet. Undefined: nothing ever was. */
  readonly leftOutBytes: number | undefined;
}

/** Numbered events as they are to be stored, and what is known of the session after them. */
export interface Batch {
  entries: { entry: SessionEvent; data: Uint8Array; agentSequence: number | undefined }[];
  after: Known;
  /** The session's own row is to be written, too. */
  changesRow: boolean;
  /** When the session's last event happened. */
  endTimeMs: number | undefined;
}

/** A session that has not finished, and those who wait for its next event. */
export class LiveSession {
  #known: Known;
  readonly #waiters = new Set<() => void>();

  constructor(known: Known) {
    this.#known = known;
  }

  get known(): Known {
    return this.#known;
  }

  /** Numbers events, leaves out what is above the limit, and folds the rest. Changes nothing yet. */
  plan(events: readonly NewEvent[], limitBytes: number): Batch {
    let { lastAgentSequence, storedBytes, leftOutBytes } = this.#known;
    let { lastSequence } = this.#known.session;
    let endTimeMs: number | undefined;
    const entries: Batch["entries"] = [];
    const add = ({ event, occurTimeMs, agentSequence }: NewEvent) => {
      const occurTime = timestampFromMs(occurTimeMs);
      const entry = create(SessionEventSchema, { sequence: lastSequence + 1, occurTime, event });
      const data = toBinary(SessionEventSchema, entry);
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
    const folds = entries.some(({ entry }) => changesSession(entry.event.case));
    const session = folds ? clone(SessionSchema, this.#known.session) : this.#known.session;
    if (folds) for (const { entry } of entries) foldEvent(session, entry);
    return {
      entries,
      after: { session, lastAgentSequence, storedBytes, leftOutBytes },
      // The agent's number of an event that is left out is nowhere else.
      changesRow: folds || leftOutBytes !== undefined,
      endTimeMs,
    };
  }

  /** The batch has been stored: it is known from now on. */
  commit({ entries, after }: Batch): void {
    this.#known = after;
    const last = entries.at(-1);
    if (last === undefined) return;
    after.session.lastSequence = last.entry.sequence;
    for (const wake of [...this.#waiters]) wake();
  }

  /** See SessionStore.changed. */
  changed({ afterSequence, signal }: { afterSequence: number; signal: AbortSignal }): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (this.#known.session.lastSequence > afterSequence) return Promise.resolve(true);
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiters.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve(!signal.aborted);
      };
      this.#waiters.add(wake);
      signal.addEventListener("abort", wake, { once: true });
    });
  }
}
