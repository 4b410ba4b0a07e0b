import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { ulid } from "ulid";
import {
  AppError,
  Artifact_Kind,
  asAppError,
  type AttachRequest,
  AttachRequestSchema,
  ContainerProgressSchema,
  cutResult,
  decisionMade,
  EgressDecidedSchema,
  EVENT_RESULT,
  type EventBody,
  findPatchMismatch,
  InterruptSchema,
  QueuePositionChangedSchema,
  type ReadableArtifact,
  RetryingSchema,
  SessionFinishedSchema,
  type SessionResult,
  SessionResultSchema,
  type SessionSpec,
  Session_State,
  StopSchema,
  UserMessageSchema,
} from "../../proto/index.ts";
import { Broker } from "../broker/broker.ts";
import type { EgressRules } from "../broker/egress-rules.ts";
import type { GitCredentialSource } from "../broker/git/git-credential.ts";
import type { ModelGatewayOptions } from "../broker/model/model-gateway.ts";
import type { WayOut } from "../broker/way-out.ts";
import type { Container } from "../runtime/runtime.ts";
import { type AgentResult, AgentSession } from "./agent-session.ts";
import { ContainerSource, type ContainerSourceOptions } from "./container-source.ts";
import { restoreOf } from "./continuation.ts";
import { DecisionLog } from "./decision-log.ts";
import { type EgressConfig, egressRules } from "./egress.ts";
import { cancellation, exitFailure, failure, finalState, patchLost } from "./ending.ts";
import { explainModelTrouble } from "./model-trouble.ts";
import { isNoRoom, roomAwaited } from "./no-room.ts";
import type { Reservations } from "./reservations.ts";
import { SalvagedPatch, salvageChanges } from "./salvage.ts";
import { type Budgets, Spending } from "./spending.ts";
import { TIMEOUTS } from "./timeouts.ts";

/** More than any build downloads. */
const MAX_EGRESS_BYTES = 16 * 1024 ** 3;

/** How sessions reach the model, and what they may use of it. */
export interface ModelAccess extends Pick<
  ModelGatewayOptions,
  "endpoint" | "credentials" | "policy" | "fallbackModel"
> {
  budgets: Budgets;
}

/** How sessions reach their repositories. */
export interface GitAccess {
  credentials: GitCredentialSource;
  /** URIs beside the session's own; those on the same server count. */
  repositories: readonly string[];
  /** See GitGatewayOptions. */
  pushRefs: readonly string[];
}

export interface SessionRunOptions extends Omit<ContainerSourceOptions, "onPosition" | "onWaiting" | "stop" | "kill"> {
  spec: SessionSpec;
  model: ModelAccess;
  /** The host's. */
  reservations: Reservations;
  git: GitAccess;
  egress: EgressConfig;
  /** Default: directly. */
  wayOut?: WayOut | undefined;
  /** Default 16 GiB. */
  maxEgressBytes?: number | undefined;
}

/** What a session has come to; the patch may still have to be stored. */
interface Ended {
  result: SessionResult;
  patch: ReadableArtifact;
  transcript: ReadableArtifact | undefined;
}

/** One session from its creation, or from where the last host left it, to its last event. Owns the container. */
export class SessionRun {
  readonly #options: SessionRunOptions;
  readonly #spending: Spending;
  readonly #startMs: number;
  /** Aborted when the container is to go at once. */
  readonly #kill = new AbortController();
  /** Aborted when the session is to end; before there is a container that ends it too. */
  readonly #stop = new AbortController();
  #agent: AgentSession | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #stopReason: string | undefined;
  #detached = false;
  #killed = false;
  #roomAwaited = "";
  #runtimeAwaited = "";
  /** See ModelGatewayOptions.onReach: of the last attempt. */
  #unreached: string | undefined;
  /** Resolves after the session's last event has been stored and the container is gone, or after `detach`. Never rejects. */
  readonly finished: Promise<void>;
  /** Aborted, with the error, if the log is not completed by this host, so that nobody waits here for an end that will not come. */
  readonly failed: AbortSignal;

  constructor(options: SessionRunOptions) {
    this.#options = options;
    const { log, store, model, spec, reservations } = options;
    this.#spending = new Spending({
      sessionId: log.sessionId,
      store,
      reservations,
      budgets: model.budgets,
      wanted: spec.budget,
      onReached: (value) => this.#tell({ case: "budgetReached", value }),
    });
    const { createTime } = options.store.getSession(options.log.sessionId)!;
    this.#startMs = createTime === undefined ? Date.now() : timestampMs(createTime);
    // The host before us was told to end it.
    const stop = options.log.keptRequests().find(({ request }) => request.case === "stop");
    if (stop?.request.case === "stop") this.stop(stop.request.value.reason);
    const run = this.#run();
    const failed = new AbortController();
    this.failed = failed.signal;
    run.then(
      (completed) => completed || failed.abort(hostClosing()),
      (error: unknown) => failed.abort(error),
    );
    this.finished = run.then(
      () => {},
      (error: unknown) => options.logger.error({ err: error }, "session log could not be completed"),
    );
  }

  /** What it waits for that no event can say, and what to do. Empty: nothing. */
  get waitingReason(): string {
    return this.#roomAwaited || this.#runtimeAwaited;
  }

  /** The part of it that is the store's. */
  get roomAwaited(): string {
    return this.#roomAwaited;
  }

  /** Ends the session, with its changes collected. The first reason is kept. */
  stop(reason: string): void {
    if (this.#stopReason !== undefined) return;
    this.#stopReason = reason;
    const request = { case: "stop" as const, value: create(StopSchema, { reason }) };
    try {
      this.#keep("stop", request);
    } catch (error) {
      // It only does not survive this host then.
      if (!isNoRoom(error)) throw error;
    }
    this.#say(request);
    this.#stop.abort(new Error(reason));
    // An agent that never answered has nothing to collect.
    if (this.#agent?.reached === false) this.#kill.abort(new Error(reason));
    else this.#setDeadline(TIMEOUTS.collectMs);
  }

  /** Ends the session and its container at once; what was streamed is kept. */
  kill(reason: string): void {
    this.#killed = true;
    this.#stopReason ??= reason;
    this.#stop.abort(new Error(reason));
    this.#kill.abort(new Error(reason));
  }

  /** Lets go of the session as it is: its container runs on, and the next host takes it up. */
  detach(): void {
    this.#detached = true;
    this.#kill.abort(hostClosing());
    this.#stop.abort(hostClosing());
  }

  /** Ends the running turn. */
  interrupt(): void {
    this.#say({ case: "interrupt", value: create(InterruptSchema) });
  }

  /** Sends Claude another message. Once this returns it is stored, and survives the host. */
  sendMessage({ text, messageId = "" }: { text: string; messageId?: string }): void {
    const id = messageId === "" ? ulid() : messageId;
    const request = { case: "userMessage" as const, value: create(UserMessageSchema, { text, messageId: id }) };
    this.#keep(`message ${id}`, request);
    this.#say(request);
  }

  /** Tells Claude what it waits for. Survives the host as a message does. Throws DECISION_MADE. */
  decide(
    requestId: string,
    request: Extract<AttachRequest["request"], { case: "permissionDecision" | "answer" }>,
  ): void {
    const name = `decision ${requestId}`;
    if (this.#options.log.keepsRequest(name)) throw decisionMade(requestId);
    this.#keep(name, request);
    this.#say(request);
  }

  #keep(name: string, request: AttachRequest["request"]): void {
    this.#options.log.keepRequest(name, create(AttachRequestSchema, { request }));
  }

  #say(request: AttachRequest["request"]): void {
    this.#agent?.say(request);
  }

  /** True once the log is complete; false if the session was let go of. */
  async #run(): Promise<boolean> {
    const { log, logger } = this.#options;
    using source = new ContainerSource({
      ...this.#options,
      kill: this.#kill.signal,
      stop: this.#stop.signal,
      onWaiting: (reason) => (this.#runtimeAwaited = reason),
      onPosition: (place) =>
        this.#tell({ case: "queuePositionChanged", value: create(QueuePositionChangedSchema, place) }),
    });
    let container: Container | undefined;
    let ended: Ended;
    try {
      container = await source.adopt();
      // The host before us came as far as that.
      const kept = this.#kept();
      if (kept === undefined) {
        const resumed = container !== undefined;
        for (let attempt = 1; ; attempt++) {
          container ??= await source.create();
          try {
            ended = await this.#inContainer(container, resumed);
            break;
          } catch (error) {
            if (attempt >= TIMEOUTS.startAttempts || !this.#mayStartAnew(error)) throw error;
          }
          await this.#removeContainer(container);
          container = undefined;
        }
      } else {
        ended = kept;
      }
    } catch (error) {
      if (this.#detached) return false;
      ended = await this.#salvage(this.#stopReason === undefined ? failure(error) : cancellation(this.#stopReason));
    } finally {
      clearTimeout(this.#deadline);
    }
    try {
      // Before the container goes: until then it could be asked again.
      if (!(await this.#onceThereIsRoom(() => this.#keepResult(ended)))) return false;
    } catch (error) {
      await this.#removeContainer(container);
      throw error;
    }
    await this.#removeContainer(container);
    const { result } = ended;
    const state = finalState(result.outcome);
    const value = create(SessionFinishedSchema, { state, result: cutResult(result, EVENT_RESULT) });
    if (!(await this.#onceThereIsRoom(() => log.append({ case: "sessionFinished", value })))) return false;
    logger.info({ outcome: Session_State[state], elapsedMs: Date.now() - this.#startMs }, "session finished");
    return true;
  }

  #kept(): Ended | undefined {
    const { store, log } = this.#options;
    const result = store.getResult(log.sessionId);
    const patch = store.getArtifact(log.sessionId, Artifact_Kind.PATCH);
    if (result === undefined || patch === undefined) return undefined;
    return { result, patch, transcript: store.getArtifact(log.sessionId, Artifact_Kind.TRANSCRIPT) };
  }

  /** Nothing has happened yet but that no agent answered: on a busy machine another container may fare better. */
  #mayStartAnew(error: unknown): boolean {
    const { reason, message } = asAppError(error);
    if (reason !== "AGENT_UNREACHABLE" || this.#agent?.reached === true || this.#stop.signal.aborted) return false;
    const value = create(ContainerProgressSchema, { message: `${message} It is tried again in another container.` });
    this.#tell({ case: "containerProgress", value });
    return true;
  }

  /** Stores something, waiting for room if need be. False if the session was let go of meanwhile. */
  async #onceThereIsRoom(store: () => void | Promise<void>): Promise<boolean> {
    for (;;) {
      try {
        await store();
        this.#noteRoom(undefined);
        return true;
      } catch (error) {
        if (!isNoRoom(error) || this.#killed) throw error;
        if (this.#detached) return false;
        this.#noteRoom(asAppError(error));
      }
      await delay(TIMEOUTS.storeRetryMs, undefined);
    }
  }

  /** Remembers that something found no room, or has found some again. Each is logged once. */
  #noteRoom(noRoom: AppError | undefined): void {
    const reason = noRoom === undefined ? "" : roomAwaited(noRoom);
    const { logger } = this.#options;
    if (noRoom !== undefined && this.#roomAwaited === "") logger.error({ err: noRoom }, "session waits for room");
    if (noRoom === undefined && this.#roomAwaited !== "") logger.warn("there is room again, the session goes on");
    this.#roomAwaited = reason;
  }

  async #keepResult({ result, patch: left, transcript }: Ended): Promise<void> {
    const { store, log } = this.#options;
    const patch = left instanceof SalvagedPatch ? await this.#storePatch(left) : left;
    result.elapsed = durationFromMs(Math.max(0, Date.now() - this.#startMs));
    result.meteredUsage = this.#spending.used;
    this.#explain(result);
    const overdrawn = this.#spending.failure();
    // What Claude says of it is that the model refused.
    if (overdrawn !== undefined && isModelFailure(result)) result.outcome = { case: "failure", value: overdrawn };
    result.patchSizeBytes = patch.artifact.sizeBytes;
    store.putLeft(log.sessionId, { result, artifacts: transcript === undefined ? [patch] : [patch, transcript] });
  }

  async #storePatch(patch: SalvagedPatch): Promise<ReadableArtifact> {
    const { store, log } = this.#options;
    await using incoming = await store.createArtifact(log.sessionId, Artifact_Kind.PATCH);
    for await (const piece of patch.read()) await incoming.append(piece);
    return await incoming.complete();
  }

  /** The host knows of the model's endpoint what the agent does not. */
  #explain({ outcome }: SessionResult): void {
    const { model, spec } = this.#options;
    if (outcome.case !== "failure") return;
    const facts = { endpoint: model.endpoint, unreached: this.#unreached, timeoutMs: durationMs(spec.timeout!) };
    outcome.value.message = explainModelTrouble(outcome.value, facts);
  }

  async #removeContainer(container: Container | undefined): Promise<void> {
    // What the session did is not undone by a container that will not go; the sweep tries again.
    await container?.[Symbol.asyncDispose]().catch((error: unknown) => {
      this.#options.logger.error({ err: error, containerId: container.ref.id }, "container could not be removed");
    });
  }

  async #inContainer(container: Container, resumed: boolean): Promise<Ended> {
    const { spec, log, store } = this.#options;
    const { previousSessionId } = spec;
    using broker = this.#createBroker(spec, egressRules(spec, this.#options.egress));
    const uri = spec.repository?.uri;
    const agent = new AgentSession({
      container,
      spec,
      log,
      broker,
      gitPrefixes: uri === undefined ? [] : [`${new URL(uri).origin}/`],
      restore: previousSessionId === "" ? undefined : () => restoreOf(store, previousSessionId),
      resumed: resumed && log.lastAgentSequence > 0,
      store,
      onRoom: ({ missing, finished }) => {
        this.#noteRoom(missing);
        // It is not the agent that lets its end wait.
        if (missing !== undefined && finished) this.#setDeadline(TIMEOUTS.collectMs);
      },
    });
    this.#agent = agent;
    if (this.#stopReason === undefined) {
      this.#setDeadline(durationMs(spec.timeout!) + TIMEOUTS.firstContactMs + TIMEOUTS.collectMs);
    }
    const over = new AbortController();
    const running = agent.run(AbortSignal.any([this.#kill.signal, over.signal]));
    const exited = container.exited.then((exit) => exitFailure(exit));
    try {
      // What is still on its way from a container that has ended is read first.
      const late = exited.then((outcome) => delay(TIMEOUTS.exitNoticeMs, outcome));
      const first = await Promise.race([running, late]);
      if ("result" in first) return await this.#complete(first);
      return await this.#salvage(this.#stopReason === undefined ? first : cancellation(this.#stopReason));
    } catch (error) {
      if (this.#kill.signal.aborted) throw error;
      // The container's end is the cause, the lost connection only its sign.
      const exit = await Promise.race([exited, delay(TIMEOUTS.exitLookMs, undefined)]);
      if (exit === undefined) throw error;
      return await this.#salvage(exit);
    } finally {
      over.abort(new Error("the session is over"));
      await running.catch(() => {});
    }
  }

  #createBroker({ repository }: SessionSpec, egress: EgressRules): Broker {
    const { logger, model, git, wayOut, maxEgressBytes = MAX_EGRESS_BYTES } = this.#options;
    const { endpoint, credentials, policy, fallbackModel } = model;
    const decisions = new DecisionLog();
    return new Broker({
      model: {
        endpoint,
        credentials,
        policy,
        fallbackModel,
        spending: {
          reserve: (worst, options) => this.#spending.reserve(worst, options),
          add: (usage) => this.#orEnd(() => this.#spending.add(usage)),
        },
        onReach: (unreached) => (this.#unreached = unreached),
        onRetry: ({ delayMs, ...retry }) =>
          this.#tell({ case: "retrying", value: create(RetryingSchema, { ...retry, delay: durationFromMs(delayMs) }) }),
      },
      git: {
        ...git,
        repositories: repository === undefined ? [] : [repository.uri, ...alike(repository.uri, git.repositories)],
      },
      proxy: { maxEgressBytes },
      egress,
      wayOut,
      logger,
      onDecision: (decision) => {
        const told = this.#kill.signal.aborted ? undefined : decisions.next(decision);
        if (told !== undefined) this.#tell({ case: "egressDecided", value: create(EgressDecidedSchema, told) });
      },
    });
  }

  /** Stores an event that may be missing for want of room, from a place that cannot fail: where the store does, the session ends. */
  #tell(event: EventBody): void {
    this.#orEnd(() => {
      try {
        this.#options.log.append(event);
      } catch (error) {
        if (!isNoRoom(error)) throw error;
      }
    });
  }

  /** Does something in a place that cannot fail: where it does, the session ends. */
  #orEnd(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#kill.abort(error);
    }
  }

  /** The agent ends the session by itself; this is for one that does not. */
  #setDeadline(ms: number): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      const message = "The agent did not end the session in time.";
      this.#kill.abort(
        new AppError("AGENT_UNRESPONSIVE", message, {
          help: "The changes up to then were kept. Look at the machine's load.",
        }),
      );
    }, ms);
  }

  /** Where the agent could not compute the patch, the streamed diffs are what there is. */
  async #complete(ended: AgentResult): Promise<Ended> {
    const { result } = ended;
    if (!result.patchTruncated || ended.patch.artifact.sizeBytes > 0n) {
      const mismatch = await findPatchMismatch(ended.patch.read(), result);
      if (mismatch !== undefined) result.outcome = failure(patchMismatch(mismatch));
      return ended;
    }
    const { changes, patch } = await salvageChanges(this.#options.log);
    ended.result.changes = changes;
    ended.result.changeCount = changes.length;
    return { ...ended, patch };
  }

  /** What is known from the log of a session whose agent is gone. */
  async #salvage(outcome: SessionResult["outcome"]): Promise<Ended> {
    const { changes, patch, ...known } = await salvageChanges(this.#options.log);
    const lost = known.patchTruncated && { patchFailure: patchLost() };
    const result = create(SessionResultSchema, { ...known, ...lost, outcome, changes, changeCount: changes.length });
    return { result, patch, transcript: undefined };
  }
}

/** Those on the same server: no other is asked for by a session's git. */
function alike(uri: string, others: readonly string[]): string[] {
  return others.filter((other) => new URL(other).origin === new URL(uri).origin);
}

function isModelFailure({ outcome }: SessionResult): boolean {
  return outcome.case === "failure" && ["MODEL_ERROR", "CLAUDE_ERROR"].includes(outcome.value.reason);
}

function patchMismatch(mismatch: string): AppError {
  return new AppError("PATCH_MISMATCH", `The patch is not what the list of changes says: ${mismatch}.`, {
    metadata: { mismatch },
    help: "Something in the container has changed one of them: do not apply it.",
  });
}

function hostClosing(): AppError {
  return new AppError("HOST_CLOSING", "The host is shutting down; its sessions go on.", {
    retryable: true,
  });
}
