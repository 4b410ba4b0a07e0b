import { clone, create } from "@bufbuild/protobuf";
import type { Phase, Session_State as State } from "../../proto/index.ts";
import {
  emptySession,
  type EventBody,
  EventLog,
  foldEvent,
  PhaseChangedSchema,
  type Session,
  SessionFinishedSchema,
  SessionSchema,
  type SessionResult,
  type SessionSpec,
  SessionStartedSchema,
  StateChangedSchema,
  cutResult,
  EVENT_RESULT,
} from "../../proto/index.ts";
import { cutSpec } from "./cut-spec.ts";

/** Record of a session: its log, and the state that the log amounts to. */
export class SessionRecord {
  readonly log = new EventLog();
  readonly #folded: Session;
  readonly #spec: SessionSpec;
  #result: SessionResult | undefined;

  constructor(id: string, spec: SessionSpec) {
    this.#folded = emptySession(id);
    this.#spec = spec;
    this.emit({ case: "sessionStarted", value: create(SessionStartedSchema, { sessionId: id, spec: cutSpec(spec) }) });
  }

  get state(): State {
    return this.#folded.state;
  }

  get phase(): Phase {
    return this.#folded.phase;
  }

  get conversationId(): string {
    return this.#folded.conversationId;
  }

  /** Time of the first event, in milliseconds since 1970. */
  get createTimeMs(): number {
    const { seconds = 0n, nanos = 0 } = this.#folded.createTime ?? {};
    return Number(seconds) * 1000 + nanos / 1e6;
  }

  /** Adds an event to the log. After the end it is dropped: nobody is there to be told. */
  emit(event: EventBody): void {
    if (!this.log.ended) foldEvent(this.#folded, this.log.append(event));
  }

  /** Emits the new state, if it is a new one. */
  enterState(state: State): void {
    if (state !== this.state) this.emit({ case: "stateChanged", value: create(StateChangedSchema, { state }) });
  }

  /** Emits the new phase, if it is a new one. */
  enterPhase(phase: Phase): void {
    if (phase !== this.phase) this.emit({ case: "phaseChanged", value: create(PhaseChangedSchema, { phase }) });
  }

  /** Ends the log with the session's final state and result. */
  finish(state: State, result: SessionResult): void {
    this.#result = result;
    this.emit({
      case: "sessionFinished",
      value: create(SessionFinishedSchema, { state, result: cutResult(result, EVENT_RESULT) }),
    });
  }

  /** Resolves with true when there is room for more events, with false if the signal is aborted before. */
  async roomy(signal: AbortSignal): Promise<boolean> {
    return await this.log.roomy(signal).then(
      () => true,
      () => false,
    );
  }

  /** Returns the session as its events tell it, long texts cut. */
  snapshot(): Session {
    const session = clone(SessionSchema, this.#folded);
    session.acknowledgedSequence = this.log.acknowledgedSequence;
    return session;
  }

  /** Returns the session with its texts and lists whole. */
  whole(): Session {
    const session = this.snapshot();
    session.spec = this.#spec;
    if (this.#result !== undefined) session.result = this.#result;
    return session;
  }
}
