import { create } from "@bufbuild/protobuf";
import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  Artifact_Kind,
  asAppError,
  ContainerProgressSchema,
  cutResult,
  EVENT_RESULT,
  type EventBody,
  type MeteredUsage,
  QueuePositionChangedSchema,
  SessionFinishedSchema,
  SessionSpecSchema,
  type SessionResult,
  type SessionSpec,
  Session_State,
  StopSchema,
  traceParentText,
} from "../../proto/index.ts";
import { knownModel } from "../broker/model/model-prices.ts";
import type { Preparation } from "../containers/preparation.ts";
import type { Container } from "../runtime/runtime.ts";
import { AgentLink } from "./agent-link.ts";
import { ContainerSource, type ContainerSourceOptions } from "./container-source.ts";
import { followSpec, restoreOf } from "./continuation.ts";
import { hostClosing, RunEnd } from "./end-reason.ts";
import { awaitEnded } from "./await-ended.ts";
import { failure, finalState } from "./ending.ts";
import { editResult, type Ended, salvageEnded, storeEnded } from "./final-result.ts";
import { isNoRoom } from "./no-room.ts";
import { preparationFor } from "./prepared-agent.ts";
import type { Reservations } from "./reservations.ts";
import { RoomWait } from "./room-wait.ts";
import { createSessionBroker, type OutsideAccess } from "./session-broker.ts";
import type { Snapshots } from "./snapshots.ts";
import { Spending } from "./spending.ts";
import { Steering } from "./steering.ts";
import { TIMEOUTS } from "./timeouts.ts";
import type { SessionTrace } from "../traces/trace-ids.ts";
import { WaitedTime } from "./waited-time.ts";

/** Session to run, and what it shares with others. */
export interface SessionRunOptions
  extends
    Omit<ContainerSourceOptions, "onPosition" | "onWaiting" | "stop" | "kill" | "supply" | "preparation">,
    OutsideAccess {
  spec: SessionSpec;
  /** Place of the session in its trace. */
  trace: SessionTrace;
  snapshots: Snapshots;
  /** Reservations of all sessions of the host. */
  reservations: Reservations;
  /** Called when something has changed that no event says: what it waits for, what it has used. */
  onChanged: () => void;
}

/** What a session runs in. */
interface InContainer {
  container: Container;
  spec: SessionSpec;
  resumed: boolean;
  source: ContainerSource;
}

/**
 * Run of one session, from its creation or from where the last host left it to its last event. It owns the container.
 */
export class SessionRun {
  readonly #options: SessionRunOptions;
  /** Messages and decisions of callers. */
  readonly steering: Steering;
  readonly #end = new RunEnd();
  readonly #spending: Spending;
  readonly #room: RoomWait;
  readonly #startMs: number;
  readonly #finished = Promise.withResolvers<undefined>();
  readonly #failed = new AbortController();
  #container: Container | undefined;
  #agent: AgentLink | undefined;
  #awaited = "";
  #audience = false;
  /** See ModelGatewayOptions.onReach: of the last attempt. */
  #unreached: string | undefined;

  private constructor(options: SessionRunOptions) {
    this.#options = options;
    const { log, store, model, spec, reservations, logger, onChanged } = options;
    this.#spending = new Spending({
      sessionId: log.sessionId,
      usage: store.usage,
      reservations,
      budgets: model.budgets,
      wanted: spec.budget,
      onReached: (value) => this.#tell({ case: "budgetReached", value }),
    });
    this.steering = new Steering({
      log,
      say: (request) => this.#agent?.say(request),
      ending: () => this.#end.kind !== undefined && this.#end.kind !== "detached",
    });
    this.#room = new RoomWait({ end: this.#end, logger, onChanged });
    const { createTime } = store.getSession(log.sessionId)!;
    this.#startMs = createTime === undefined ? Date.now() : timestampMs(createTime);
  }

  /** Starts to run a session. If an earlier host was told to stop it, it is stopped at once. */
  static start(options: SessionRunOptions): SessionRun {
    const run = new SessionRun(options);
    const stop = options.log.keptRequests().find(({ request }) => request.case === "stop");
    if (stop?.request.case === "stop") run.stop(stop.request.value.reason);
    void run.#begin();
    return run;
  }

  /** Resolves after the last event is stored and the container is gone, or after `detach`. Never rejects. */
  get finished(): Promise<unknown> {
    return this.#finished.promise;
  }

  /**
   * Signal that is aborted, with the error, if this host cannot complete the log. Nobody must wait for its end then.
   */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  /** Obstacle that it waits for and no event can say, and what to do. Empty: none. */
  get waitingReason(): string {
    return this.#room.reason || this.#awaited;
  }

  /** Usage of the model, that under an earlier host included. */
  get used(): MeteredUsage {
    return this.#spending.used;
  }

  /** Part of `waitingReason` that is the store's. Empty: none. */
  get roomAwaited(): string {
    return this.#room.reason;
  }

  /** Container of the session now. Undefined: none yet, or none any more. */
  get container(): Container | undefined {
    return this.#container;
  }

  /** Notes whether anybody could decide what it waits for. */
  setAudience(present: boolean): void {
    if (present === this.#audience) return;
    this.#audience = present;
    this.#agent?.setAudience(present);
  }

  /** Ends the session, and its changes are collected. The first reason is kept. */
  stop(reason: string): void {
    const added = this.#end.add({ kind: "stopped", reason });
    // Of a session that was let go of, the stop is for the next host.
    if (!added && this.#end.kind !== "detached") return;
    const request = { case: "stop" as const, value: create(StopSchema, { reason }) };
    try {
      this.steering.keep("stop", request);
    } catch (error) {
      // It only does not survive this host then.
      if (!isNoRoom(error)) throw error;
    }
    if (!added) return;
    this.steering.say(request);
    // An agent that never answered has nothing to collect.
    if (this.#agent?.reached === false) this.#end.add({ kind: "cutShort", error: new Error(reason) });
    else this.#end.setDeadline(TIMEOUTS.collectMs);
  }

  /** Ends the session and its container at once. What was streamed is kept. */
  kill(reason: string): void {
    this.#end.add({ kind: "killed", reason });
  }

  /** Lets go of the session as it is. Its container runs on, and the next host takes it up. */
  detach(): void {
    this.#end.add({ kind: "detached" });
  }

  /** Never rejects. */
  async #begin(): Promise<void> {
    try {
      if (!(await this.#run())) this.#failed.abort(hostClosing());
    } catch (error) {
      this.#failed.abort(error);
      this.#options.logger.error({ err: error }, "session log could not be completed");
    }
    this.#finished.resolve(undefined);
  }

  /** True once the log is complete; false if the session was let go of. */
  async #run(): Promise<boolean> {
    const { log, logger, spec, snapshots, shape } = this.#options;
    const snapshot = spec.repository?.snapshot;
    using source = new ContainerSource({
      ...this.#options,
      supply: snapshot && ((options) => snapshots.supply(log.sessionId, snapshot, { ...options, image: shape.image })),
      preparation: this.#preparation(),
      kill: this.#end.leaving,
      stop: this.#end.stopping,
      onWaiting: (reason) => this.#await(reason),
      onPosition: (place) =>
        this.#tell({ case: "queuePositionChanged", value: create(QueuePositionChangedSchema, place) }),
    });
    const result = await this.#reachResult(source);
    if (result === undefined) return false;
    // Nobody waits for it: the next host removes what this one leaves.
    const removed = this.#removeContainer();
    try {
      const state = finalState(result.outcome);
      const value = create(SessionFinishedSchema, { state, result: cutResult(result, EVENT_RESULT) });
      if (!(await this.#room.store(() => log.append({ case: "sessionFinished", value })))) return false;
      logger.info({ outcome: Session_State[state], elapsedMs: Date.now() - this.#startMs }, "session finished");
      return true;
    } finally {
      await removed;
    }
  }

  /** Resolves with the session's result once all that it left is stored; undefined if it was let go of. */
  async #reachResult(source: ContainerSource): Promise<SessionResult | undefined> {
    const { log, store } = this.#options;
    const { sessionId } = log;
    let ended: Ended;
    try {
      this.#container = await source.adopt();
      // The host before us came as far as that.
      const kept = store.left.getResult(sessionId);
      if (kept !== undefined && store.left.getArtifact(sessionId, Artifact_Kind.PATCH) !== undefined) return kept;
      ended = await this.#inContainers(source);
    } catch (error) {
      if (this.#end.kind === "detached") return undefined;
      ended = await salvageEnded(this.#end.outcome(failure(error)), log);
    } finally {
      this.#end.clearDeadline();
    }
    const { result } = ended;
    try {
      // Before the container goes: until then it could be asked again.
      const stored = await this.#room.store(() => {
        this.#edit(result);
        return storeEnded(ended, { store, sessionId });
      });
      return stored ? result : undefined;
    } catch (error) {
      await this.#removeContainer();
      throw error;
    }
  }

  /** What a container may have been prepared with for this session. */
  #preparation(): Preparation {
    const { spec, snapshots, log, store } = this.#options;
    const snapshot = spec.repository?.snapshot;
    const withUserFiles = store.getUserFiles(log.sessionId) !== undefined;
    const refusal = async () =>
      snapshot !== undefined && (await snapshots.isLarge(log.sessionId, snapshot)) ? "large repository" : undefined;
    const options = { gitPrefixes: gitPrefixesOf(spec), withUserFiles };
    return { ...preparationFor(this.#withHostsOwn(spec), options), refusal };
  }

  /** With what the host alone decides. */
  #withHostsOwn(spec: SessionSpec): SessionSpec {
    return { ...spec, claudeTelemetry: this.#options.telemetry !== undefined };
  }

  /** Tells what is waited for that no event says. Empty: nothing any more. */
  #await(reason: string): void {
    this.#awaited = reason;
    this.#options.onChanged();
  }

  /** Runs the session to its end, in another container where no agent answered in the first. */
  async #inContainers(source: ContainerSource): Promise<Ended> {
    const resumed = this.#container !== undefined;
    const { store, log } = this.#options;
    let { spec } = this.#options;
    // Once it has begun it does not need the other session any more.
    if (log.lastAgentSequence === 0) {
      const signal = this.#end.stopping;
      spec = await followSpec(store, spec, { signal, onWaiting: (reason) => this.#await(reason) });
    }
    for (let attempt = 1; ; attempt++) {
      const container = (this.#container ??= await source.create());
      try {
        return await this.#inContainer({ container, spec, resumed, source });
      } catch (error) {
        if (attempt >= TIMEOUTS.startAttempts || !this.#mayStartAnew(error)) throw error;
      }
      await this.#removeContainer();
    }
  }

  /** Nothing has happened yet but that no agent answered: on a busy machine another container may fare better. */
  #mayStartAnew(error: unknown): boolean {
    const { reason, message } = asAppError(error);
    if (reason !== "AGENT_UNREACHABLE" || this.#agent?.reached === true || this.#end.kind !== undefined) return false;
    const value = create(ContainerProgressSchema, { message: `${message} It is tried again in another container.` });
    this.#tell({ case: "containerProgress", value });
    return true;
  }

  #edit(result: SessionResult): void {
    const { spec, model } = this.#options;
    editResult(result, {
      spec,
      elapsedMs: Date.now() - this.#startMs,
      endpoint: model.endpoint,
      unreached: this.#unreached,
      used: this.#spending.used,
      overdrawn: this.#spending.failure(),
    });
  }

  async #removeContainer(): Promise<void> {
    const container = this.#container;
    this.#container = undefined;
    // What the session did is not undone by a container that will not go; the sweep tries again.
    await container?.[Symbol.asyncDispose]().catch((error: unknown) => {
      this.#options.logger.error({ err: error, containerId: container.ref.id }, "container could not be removed");
    });
  }

  async #inContainer({ container, spec, resumed, source }: InContainer): Promise<Ended> {
    const { log, store, snapshots, trace, onChanged } = this.#options;
    const snapshot = spec.repository?.snapshot;
    using broker = createSessionBroker({
      ...this.#options,
      sessionId: log.sessionId,
      traceId: trace.traceId,
      snapshot: snapshot && snapshots.serve(log.sessionId, snapshot),
      spending: {
        reserve: (worst, options) => this.#spending.reserve(worst, options),
        add: (usage, model) => {
          this.#end.guard(() => this.#spending.add(usage, knownModel(model)));
          onChanged();
        },
      },
      onReach: (unreached) => (this.#unreached = unreached),
      tell: (event) => this.#tell(event),
      leaving: this.#end.leaving,
    });
    const waited = new WaitedTime();
    waited.note(log.session.state);
    const agent = new AgentLink({
      container,
      connection: source.takeConnection(),
      // What Claude does belongs to the session, and not to who asked for it.
      spec: create(SessionSpecSchema, { ...this.#withHostsOwn(spec), traceParent: traceParentText(trace) }),
      log,
      broker,
      gitPrefixes: gitPrefixesOf(spec),
      restore: () => restoreOf(store, spec),
      userFiles: () => store.getUserFiles(log.sessionId),
      resumed: resumed && log.lastAgentSequence > 0,
      left: store.left,
      onState: (state) => {
        waited.note(state);
        if (state !== Session_State.PREPARING) source.begun();
      },
      onRoom: ({ missing, finished }) => {
        this.#room.note(missing);
        // It is not the agent that lets its end wait.
        if (missing !== undefined && finished) this.#end.setDeadline(TIMEOUTS.collectMs);
      },
    });
    agent.setAudience(this.#audience);
    this.#agent = agent;
    if (this.#end.kind === undefined) {
      const { timeout, setup, check } = spec;
      const ms = [timeout, setup?.timeout, check?.timeout].map((each) => (each === undefined ? 0 : durationMs(each)));
      const spentMs = ms.reduce((sum, each) => sum + each, 0);
      const more = () => waited.take();
      this.#end.setDeadline(spentMs + TIMEOUTS.firstContactMs + TIMEOUTS.collectMs, { more });
    }
    const over = new AbortController();
    const running = agent.run(AbortSignal.any([this.#end.leaving, over.signal]));
    try {
      return await awaitEnded(running, container, { end: this.#end, log });
    } finally {
      over.abort(new Error("the session is over"));
      await running.catch(() => {});
    }
  }

  /** Stores an event that may be missing for want of room, from a place that cannot fail: where the store does, the session ends. */
  #tell(event: EventBody): void {
    this.#end.guard(() => {
      try {
        this.#options.log.append(event);
      } catch (error) {
        // What a request under way has used may be known once the session is over.
        if (!isNoRoom(error) && asAppError(error).reason !== "SESSION_NOT_LIVE") throw error;
      }
    });
  }
}

/** Returns the beginnings of the URLs that git reaches by its own listener. */
function gitPrefixesOf({ repository }: SessionSpec): string[] {
  return repository === undefined ? [] : [`${new URL(repository.uri).origin}/`];
}
