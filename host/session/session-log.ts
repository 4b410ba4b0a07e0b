import { setImmediate as turn } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type AttachRequest,
  AttachRequestSchema,
  checkSequence,
  emptySession,
  type EventBody,
  isFinal,
  type LogReader,
  onAbort,
  type Phase,
  PhaseChangedSchema,
  type ReadOptions,
  type Session,
  type SessionEvent,
  type Session_State,
  StateChangedSchema,
  steadyTime,
} from "../../proto/index.ts";
import type { DiffPlace, NewEvent, SessionStore } from "../store/session-store.ts";

/** What only the host may say of a session; from a container it is a lie or a mistake. */
const HOSTS_OWN = new Set([
  "sessionStarted",
  "containerProgress",
  "connectionMade",
  "connectionLost",
  "connectionRestored",
  "egressDecided",
  "budgetReached",
  "queuePositionChanged",
]);

function isAgents(event: SessionEvent["event"]): event is EventBody {
  if (event.case === undefined || HOSTS_OWN.has(event.case)) return false;
  // The final state comes with the host's own last event.
  return event.case !== "stateChanged" || !isFinal(event.value.state);
}

/** How many events a reader gets at a time. */
const BATCH_LENGTH = 256;

/** Start of a reader, and what ends it. */
export interface StoredReadOptions extends ReadOptions {
  /** Default: never. */
  abandoned?: AbortSignal | undefined;
}

/** One session's log in the store: of the host's own events and those of the agent. */
export class SessionLog implements LogReader {
  readonly #store: SessionStore;
  readonly sessionId: string;
  /** Time of the newest event. */
  #lastMs = 0;

  constructor(store: SessionStore, sessionId: string) {
    this.#store = store;
    this.sessionId = sessionId;
  }

  /** Makes a session with its first events. */
  static create(
    store: SessionStore,
    session: { sessionId: string; requestId: string | undefined; container: string },
    ...events: EventBody[]
  ): SessionLog {
    const { sessionId, ...kept } = session;
    store.createSession(sessionId, { ...kept, events: now(events) });
    return new SessionLog(store, sessionId);
  }

  /** The agent's number of the newest event that is stored. */
  get lastAgentSequence(): number {
    return this.#store.lastAgentSequence(this.sessionId);
  }

  /** Stores events of the host. */
  append(...events: EventBody[]): void {
    this.#write(now(events));
  }

  #write(events: NewEvent[]): void {
    let lastMs = this.#lastMs;
    const steady = events.map((event) => ({ ...event, occurTimeMs: (lastMs = steadyTime(lastMs, event.occurTimeMs)) }));
    this.#store.append(this.sessionId, steady);
    this.#lastMs = lastMs;
  }

  /** The session enters a phase. */
  phase(phase: Phase): void {
    this.append({ case: "phaseChanged", value: create(PhaseChangedSchema, { phase }) });
  }

  /** The session enters a state. */
  state(state: Session_State): void {
    this.append({ case: "stateChanged", value: create(StateChangedSchema, { state }) });
  }

  /**
   * Stores what the agent sent, but for the first and the last event of its log: the host has its
   * own. Returns the last one if it was there.
   */
  appendFromAgent(events: SessionEvent[]): SessionEvent | undefined {
    let known = this.lastAgentSequence;
    const fresh: NewEvent[] = [];
    let finished: SessionEvent | undefined;
    for (const entry of events) {
      const { sequence, occurTime, event } = entry;
      if (event.case === "sessionFinished") finished = entry;
      else if (sequence > known && isAgents(event)) {
        fresh.push({ event, agentSequence: sequence, occurTimeMs: timeMs(occurTime) });
        known = sequence;
      }
    }
    this.#write(fresh);
    for (const { event } of fresh) {
      const arrived = nameOfArrived(event);
      if (arrived !== undefined) this.#store.requests.remove(this.sessionId, arrived);
    }
    return finished;
  }

  /** Keeps what a caller says to the session until the agent is known to have it. */
  keepRequest(name: string, request: AttachRequest): void {
    this.#store.requests.put(this.sessionId, name, toBinary(AttachRequestSchema, request));
  }

  /** What was said under this name has not arrived yet. */
  keepsRequest(name: string): boolean {
    return this.#store.requests.list(this.sessionId).some((kept) => kept.name === name);
  }

  /** What the agent is not known to have, oldest first. */
  keptRequests(): AttachRequest[] {
    return this.#store.requests.list(this.sessionId).map(({ data }) => fromBinary(AttachRequestSchema, data));
  }

  /**
   * Reads the log. Once `abandoned` is aborted nobody writes it any more: then it ends after what there is, as it does where
   * the session is removed meanwhile.
   */
  async *read({ afterSequence, signal, abandoned }: StoredReadOptions): AsyncGenerator<SessionEvent[], undefined> {
    checkSequence(afterSequence, this.#store.getSession(this.sessionId)?.lastSequence ?? 0);
    using _woken = onAbort([signal, abandoned], () => this.#store.wake(this.sessionId));
    let after = afterSequence;
    while (!signal.aborted) {
      const batch = this.#store.read(this.sessionId, { afterSequence: after, limit: BATCH_LENGTH });
      const last = batch.at(-1);
      if (last === undefined) {
        if (abandoned?.aborted === true) return;
        if (!(await this.#store.changed(this.sessionId, { afterSequence: after }))) return;
        continue;
      }
      yield batch;
      if (last.event.case === "sessionFinished") return;
      after = last.sequence;
    }
  }

  /** The session as it is now. */
  get session(): Session {
    return this.#store.getSession(this.sessionId) ?? emptySession(this.sessionId);
  }

  /** See SessionStore.listDiffs. */
  get diffs(): DiffPlace[] {
    return this.#store.listDiffs(this.sessionId);
  }

  /** The events between two numbers, both included, that are there, oldest first. Between pages others get their turn. */
  async *between(first: number, last: number): AsyncGenerator<SessionEvent, undefined> {
    for (let next = first; next <= last;) {
      if (next > first) await turn();
      const limit = Math.min(last - next + 1, BATCH_LENGTH);
      const page = this.#store.read(this.sessionId, { afterSequence: next - 1, limit });
      if (page.length === 0) return;
      yield* page;
      next = page.at(-1)!.sequence + 1;
    }
  }
}

/** A time as a container gives it; now, if that is none or is still to come. */
function timeMs(time: Timestamp | undefined): number {
  const ms = time === undefined ? -1 : timestampMs(time);
  return ms >= 0 && ms <= Date.now() ? ms : Date.now();
}

/** The kept request that an event shows to have arrived. */
function nameOfArrived(event: EventBody): string | undefined {
  switch (event.case) {
    case "messageQueued":
    case "turnStarted":
      return event.value.messageId === "" ? undefined : `message ${event.value.messageId}`;
    case "permissionDecided":
    case "questionAnswered":
      return `decision ${event.value.requestId}`;
    default:
      return undefined;
  }
}

function now(events: EventBody[]): NewEvent[] {
  const occurTimeMs = Date.now();
  return events.map((event) => ({ event, occurTimeMs }));
}
