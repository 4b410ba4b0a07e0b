import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Phase, type Session, Session_State } from "../../proto/index.ts";
import { LIVE_STATES } from "../session/states.ts";
import type { NewEvent, SessionStore } from "../store/session-store.ts";
import type { Meters, SetMetric } from "./meters.ts";
import { labelOf } from "./metrics.ts";

/** What is remembered of a live session. */
interface Live {
  state: Session_State;
  createdMs: number;
  phase: Phase | undefined;
  /** When it entered the phase. */
  phaseMs: number;
}

/** Part of a store that is looked at. */
export type WatchedStore = Pick<SessionStore, "onStored" | "listSessions">;

/** Metrics of the sessions, from their events as they are stored. Dispose of them. */
export class SessionMetrics implements Disposable {
  readonly #meters: Meters;
  readonly #live = new Map<string, Live>();
  #subscription: Disposable | undefined;

  private constructor(meters: Meters) {
    this.#meters = meters;
  }

  /** Begins with the sessions that are live, and listens to the store. */
  static start(store: WatchedStore, meters: Meters): SessionMetrics {
    const metrics = new SessionMetrics(meters);
    const limit = Number.MAX_SAFE_INTEGER;
    for (const session of store.listSessions({ states: LIVE_STATES, parent: undefined, beforeId: undefined, limit })) {
      metrics.#live.set(session.id, liveOf(session));
    }
    metrics.#subscription = store.onStored((sessionId, events) => metrics.#read(sessionId, events));
    meters.onRead((set) => metrics.#setGauges(set));
    return metrics;
  }

  [Symbol.dispose](): void {
    this.#subscription?.[Symbol.dispose]();
  }

  #setGauges(set: SetMetric): void {
    const counts = new Map(LIVE_STATES.map((state) => [state, 0]));
    let waitingSinceMs = Infinity;
    for (const { state, phase, phaseMs } of this.#live.values()) {
      counts.set(state, (counts.get(state) ?? 0) + 1);
      if (phase === Phase.QUEUED) waitingSinceMs = Math.min(waitingSinceMs, phaseMs);
    }
    for (const [state, count] of counts) set("claudecluster_sessions", count, { state: labelOf(Session_State, state) });
    set("claudecluster_queue_longest_wait_seconds", Math.max(0, (Date.now() - waitingSinceMs) / 1000), {});
  }

  #read(sessionId: string, events: readonly NewEvent[]): void {
    const first = events.find(({ agentSequence }) => agentSequence !== undefined);
    if (first !== undefined) this.#record("claudecluster_event_lag_seconds", Date.now() - first.occurTimeMs, {});
    for (const { event, occurTimeMs } of events) this.#count(sessionId, event, occurTimeMs);
  }

  #count(sessionId: string, event: NewEvent["event"], timeMs: number): void {
    const live = this.#live.get(sessionId);
    switch (event.case) {
      case "sessionStarted":
        this.#live.set(sessionId, {
          state: Session_State.QUEUED,
          createdMs: timeMs,
          phase: undefined,
          phaseMs: timeMs,
        });
        this.#meters.add("claudecluster_sessions_created_total", 1, {});
        break;
      case "stateChanged":
        if (live !== undefined) live.state = event.value.state;
        break;
      case "phaseChanged":
        if (live !== undefined) this.#enter(live, event.value.phase, timeMs);
        break;
      case "sessionFinished": {
        const { state, result } = event.value;
        if (live !== undefined) {
          this.#enter(live, undefined, timeMs);
          this.#record("claudecluster_session_duration_seconds", timeMs - live.createdMs, {
            state: labelOf(Session_State, state),
          });
        }
        this.#live.delete(sessionId);
        this.#meters.add("claudecluster_sessions_ended_total", 1, { state: labelOf(Session_State, state) });
        if (result?.outcome.case === "failure") {
          this.#meters.add("claudecluster_session_failures_total", 1, { reason: result.outcome.value.reason });
        }
        break;
      }
      default:
        break;
    }
  }

  #enter(live: Live, phase: Phase | undefined, timeMs: number): void {
    if (live.phase !== undefined) {
      this.#record("claudecluster_phase_duration_seconds", timeMs - live.phaseMs, {
        phase: labelOf(Phase, live.phase),
      });
    }
    live.phase = phase;
    live.phaseMs = timeMs;
  }

  /** A container's clock may be another one. */
  #record: (...[name, ms, labels]: Parameters<Meters["record"]>) => void = (name, ms, labels) =>
    this.#meters.record(name, Math.max(0, ms) / 1000, labels);
}

function liveOf({ state, createTime, phaseTimings }: Session): Live {
  const createdMs = createTime === undefined ? Date.now() : timestampMs(createTime);
  const last = phaseTimings.at(-1);
  const phaseMs = last?.startTime === undefined ? createdMs : timestampMs(last.startTime);
  return { state, createdMs, phase: last?.phase, phaseMs };
}
