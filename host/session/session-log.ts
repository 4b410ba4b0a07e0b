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
  "modelAnswered",
  "queuePositionChanged",
]);

function isAgents(event: SessionEvent["event"]): event is EventBody {
  if (event.case === undefined || HOSTS_OWN.has(event.case)) return false;
  // The final state comes with the host's own last event.
  return event.case !== "stateChanged" || !isFinal(event.value.state);
}

/** How many events a reader gets at a time. */
const BATCH_LENGTH = 256;
/** Arrived messages that are remembered, the newest ones. No caller asks for more, and a container may invent any number. */
const MAX_ARRIVED = 10_000;
/** A container may say longer ones. */
const MAX_NAME_LENGTH = 256;

/** Start of a reader, and what ends it. */
export interface StoredReadOptions extends ReadOptions {
  /** Signal that nobody writes the log any more. Default: never aborted. */
  abandoned?: AbortSignal | undefined;
}

/** Log of one session in the store: the host's own events and those of its agent. Only the session's run writes it. */
export class SessionLog implements LogReader {
  readonly #store: SessionStore;
  readonly sessionId: string;
  /** Time of the newest event. */
  #lastMs = 0;
  /** Names of messages that the agent has had. */
  readonly #arrived = new Set<string>();
  /** Whether those of an earlier host are among them. */
  #arrivedRead = false;

  constructor(store: SessionStore, sessionId: string) {
    this.#store = store;
    this.sessionId = sessionId;
  }

  /** Creates a session in the store, with its first events. */
  static create(
    store: SessionStore,
    session: {
      sessionId: string;
      requestId: string | undefined;
      container: string;
      userFiles?: Uint8Array | undefined;
    },
    ...events: EventBody[]
  ): SessionLog {
    const { sessionId, ...kept } = session;
    store.createSession(sessionId, { ...kept, events: now(events) });
    const log = new SessionLog(store, sessionId);
    log.#arrivedRead = true;
    return log;
  }

  /** Number, in the agent's own log, of its newest event that is stored. 0: none is. */
  get lastAgentSequence(): number {
    return this.#store.lastAgentSequence(this.sessionId);
  }

  /** Stores events of the host, with the time of now. All are stored or none. */
  append(...events: EventBody[]): void {
    this.#write(now(events));
  }

  #write(events: NewEvent[]): void {
    let lastMs = this.#lastMs;
    const steady = events.map((event) => ({ ...event, occurTimeMs: (lastMs = steadyTime(lastMs, event.occurTimeMs)) }));
    this.#store.append(this.sessionId, steady);
    this.#lastMs = lastMs;
  }

  /** Stores that the session enters a phase. */
  phase(phase: Phase): void {
    this.append({ case: "phaseChanged", value: create(PhaseChangedSchema, { phase }) });
  }

  /** Stores that the session enters a state. */
  state(state: Session_State): void {
    this.append({ case: "stateChanged", value: create(StateChangedSchema, { state }) });
  }

  /**
   * Stores events of the agent that are new. Those that only the host may say are left out, and the last one, which it
   * returns instead: the host stores its own. Requests that the events show to have arrived are kept no more.
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
      if (arrived === undefined) continue;
      this.#remember(arrived);
      this.#store.requests.remove(this.sessionId, arrived);
    }
    return finished;
  }

  #remember(arrived: string): void {
    if (!isMessageName(arrived) || arrived.length > MAX_NAME_LENGTH) return;
    this.#arrived.add(arrived);
    if (this.#arrived.size > MAX_ARRIVED) this.#arrived.delete(this.#arrived.values().next().value!);
  }

  /** Keeps a caller's request until the agent is known to have it. The first one of a name is kept. */
  keepRequest(name: string, request: AttachRequest): void {
    this.#store.requests.put(this.sessionId, name, toBinary(AttachRequestSchema, request));
  }

  /** Names of the requests that the agent is not known to have, oldest first. */
  get keptNames(): string[] {
    return this.#store.requests.names(this.sessionId);
  }

  /** Resolves with whether the agent is known to have had a message of this name. The first time it reads what an earlier host has stored. */
  async hasArrived(name: string): Promise<boolean> {
    if (!this.#arrivedRead) {
      for await (const { event } of this.between(1, this.session.lastSequence)) {
        const arrived = event.case === undefined ? undefined : nameOfArrived(event);
        if (arrived !== undefined) this.#remember(arrived);
      }
      this.#arrivedRead = true;
    }
    return this.#arrived.has(name);
  }

  /** Requests that the agent is not known to have, oldest first. */
  keptRequests(): AttachRequest[] {
    return this.#store.requests.list(this.sessionId).map(({ data }) => fromBinary(AttachRequestSchema, data));
  }

  /**
   * Reads the log in batches of up to 256 events, and waits for more. It ends after sessionFinished, on an abort, or when the
   * session is removed. Once `abandoned` is aborted it ends after what is stored. Throws SEQUENCE_UNKNOWN.
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

  /** Session as it is now. */
  get session(): Session {
    return this.#store.getSession(this.sessionId) ?? emptySession(this.sessionId);
  }

  /** Places of the newest diffs: see SessionStore.listDiffs. */
  get diffs(): DiffPlace[] {
    return this.#store.listDiffs(this.sessionId);
  }

  /** Yields the stored events from one number to another, both included, oldest first. Between pages others get their turn. */
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

/** Returns the name that a message is kept under. */
export function messageName(messageId: string): string {
  return `message ${messageId}`;
}

/** Whether a message is kept under a name. */
export function isMessageName(name: string): boolean {
  return name.startsWith(messageName(""));
}

/** Returns the name that a decision is kept under. */
export function decisionName(requestId: string): string {
  return `decision ${requestId}`;
}

/** The kept request that an event shows to have arrived. */
function nameOfArrived(event: EventBody): string | undefined {
  switch (event.case) {
    case "messageQueued":
    case "turnStarted":
      return event.value.messageId === "" ? undefined : messageName(event.value.messageId);
    case "permissionDecided":
    case "questionAnswered":
      return decisionName(event.value.requestId);
    default:
      return undefined;
  }
}

function now(events: EventBody[]): NewEvent[] {
  const occurTimeMs = Date.now();
  return events.map((event) => ({ event, occurTimeMs }));
}
