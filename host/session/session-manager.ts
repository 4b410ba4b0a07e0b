import { clone, create, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { monotonicFactory } from "ulid";
import {
  AnswerSchema,
  AppError,
  Artifact_Kind,
  artifactName,
  type ArtifactKind,
  checkAnswers,
  completeSpec,
  type ContainerSpec,
  ContainerSpecSchema,
  cutChars,
  Decider,
  isFinal,
  PermissionDecisionSchema,
  Phase,
  PhaseChangedSchema,
  QuestionAnswerSchema,
  type ReadOptions,
  type ReadableArtifact,
  requireDecision,
  type Session,
  Session_State,
  type SessionEvent,
  type SessionSpec,
  SessionSpecSchema,
  SessionStartedSchema,
  StateChangedSchema,
} from "../../proto/index.ts";
import { checkSchema } from "./structured-result.ts";
import { completeShape } from "../containers/container-shape.ts";
import type { Containers } from "../containers/containers.ts";
import type { PoolStatus } from "../containers/pool.ts";
import type { ContainerShape } from "../runtime/runtime.ts";
import type { SessionStore } from "../store/session-store.ts";
import { Audience } from "./audience.ts";
import { carryBytes } from "./carry-bytes.ts";
import { continueSpec } from "./continuation.ts";
import { checkEgress } from "./egress.ts";
import { listPage } from "./list-page.ts";
import { Reservations } from "./reservations.ts";
import { salvageChanges } from "./salvage.ts";
import { SessionLog } from "./session-log.ts";
import type { OutsideAccess } from "./session-broker.ts";
import { SessionsFeed } from "./sessions-feed.ts";
import { traceOf } from "../traces/trace-ids.ts";
import { SessionRun, type SessionRunOptions } from "./session-run.ts";
import { type SetupCommands, withSetup } from "./setup-command.ts";
import type { Snapshots } from "./snapshots.ts";
import { notRunning, requireTurn } from "./states.ts";
import type {
  Answers,
  CreateSessionRequest,
  Decision,
  ListSessionsPage,
  ListSessionsRequest,
  OpenArtifact,
  Sessions,
  SessionsNews,
  WatchSessionsRequest,
} from "./sessions.ts";
import { nextTaken, requireRemovable } from "./taken-changes.ts";
import { userFilesOf } from "./user-files.ts";

/** Containers, store and outside world of the sessions. Without a credential for the model no session can start. */
export interface SessionManagerOptions extends OutsideAccess {
  containers: Containers;
  store: SessionStore;
  snapshots: Snapshots;
  /** Image of sessions that name none. */
  defaultImage: string;
  setups: SetupCommands;
  logger: Logger;
}

/** In the order of their creation, also within a millisecond: a list shows the newest first. */
const ulid = monotonicFactory();

/** Sessions that run in this process. It owns their containers: disposing of it ends them all, `detach` leaves them. */
export class SessionManager implements Sessions, AsyncDisposable {
  readonly #options: SessionManagerOptions;
  readonly #runs = new Map<string, SessionRun>();
  readonly #audience = new Audience(() => {
    for (const [id, run] of this.#runs) run.setAudience(this.#audience.has(id));
  });
  readonly #closing = new AbortController();
  readonly #reservations = new Reservations();
  readonly #feed: SessionsFeed;

  protected constructor(options: SessionManagerOptions) {
    this.#options = options;
    this.#feed = SessionsFeed.start({
      store: options.store,
      complete: (session) => this.#withHostsOwn(session),
    });
  }

  /** Opens the sessions of a store. Those that are unfinished are not taken up yet: see `resume`. */
  static open(options: SessionManagerOptions): SessionManager {
    return new SessionManager(options);
  }

  /**
   * Takes up every unfinished session in the store: its container is found again, its log goes on. It must be called
   * once, and no other host may have the store.
   */
  resume(): void {
    for (const sessionId of this.#options.store.liveSessionIds()) {
      if (!this.#runs.has(sessionId)) this.#resumeOne(sessionId);
    }
  }

  /** Returns counts of sessions and of containers on their way out, and what is wrong with the runtime and the store. Undefined: nothing is known to be. */
  status(): {
    liveCount: number;
    queuedCount: number;
    maxRunning: number;
    removingCount: number;
    runtimeProblem: string | undefined;
    storeProblem: string | undefined;
    pool: PoolStatus;
  } {
    const { queuedCount, maxRunning, problem: runtimeProblem, pool } = this.#options.containers.status();
    const live = new Set(this.#options.store.liveSessionIds());
    const removingCount = [...this.#runs.keys()].filter((id) => !live.has(id)).length;
    const storeProblem =
      [...this.#runs.values()].map((run) => run.roomAwaited).find((reason) => reason !== "") ??
      this.#options.store.findProblem()?.toSentence();
    return { liveCount: live.size, queuedCount, maxRunning, removingCount, runtimeProblem, storeProblem, pool };
  }

  #resumeOne(sessionId: string): void {
    const { store, logger } = this.#options;
    const { spec } = store.getSession(sessionId)!;
    const container = store.getContainer(sessionId);
    if (spec === undefined || container === undefined) {
      // Nothing can be known of it but that it has no end.
      logger.error({ sessionId }, "a session that was left behind is incomplete");
      return;
    }
    logger.warn({ sessionId }, "taking up a session that was left behind");
    const shape = this.#completeShape(fromJsonString(ContainerSpecSchema, container));
    this.#start({ spec, shape, log: new SessionLog(store, sessionId), resumed: true });
  }

  #completeShape(spec: ContainerSpec): ContainerShape {
    return completeShape(spec, { image: this.#options.defaultImage });
  }

  #start(session: Pick<SessionRunOptions, "spec" | "shape" | "log" | "resumed">): void {
    const { sessionId } = session.log;
    const trace = traceOf(sessionId, session.spec);
    const run = SessionRun.start({
      ...this.#options,
      ...session,
      trace,
      reservations: this.#reservations,
      // As OpenTelemetry's logs have it: https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/
      logger: this.#options.logger.child({ sessionId, trace_id: trace.traceId }),
      onChanged: () => this.#feed.note(sessionId),
    });
    this.#runs.set(sessionId, run);
    run.setAudience(this.#audience.has(sessionId));
    void run.finished.then(() => this.#runs.delete(sessionId));
  }

  async create(request: CreateSessionRequest): Promise<Session> {
    const { store, model } = this.#options;
    const findKnown = () => (request.requestId === undefined ? undefined : store.findByRequest(request.requestId));
    const known = findKnown();
    if (known !== undefined) return this.get(known);
    if (this.#closing.signal.aborted)
      throw new AppError("HOST_CLOSING", "The host is shutting down.", { retryable: true });
    const completed = completeSpec(this.#redeemed(request.spec));
    const userFiles = userFilesOf(store, completed);
    const spec = withSetup(continueSpec(store, completed), this.#options.setups);
    checkEgress(spec, this.#options.egress);
    await checkSchema(spec.jsonSchema);
    const shape = this.#completeShape(request.container);
    this.#options.containers.check(shape);
    if ((await model.credentials.read()) === undefined) {
      throw new AppError("NO_CREDENTIAL", "No credential for the model is configured.", {
        help: "Store one, an API key or a token from `claude setup-token`: claudecluster credential set. It stays on the host.",
      });
    }
    const sessionId = `ses_${ulid()}`;
    const { snapshot, depth = 1 } = spec.repository ?? {};
    const { signal } = this.#closing;
    if (snapshot !== undefined) await this.#options.snapshots.open(sessionId, snapshot, { depth, signal });
    // The same request may have come again while a helper was asked for the credential.
    const madeMeanwhile = findKnown();
    if (madeMeanwhile !== undefined) return this.get(madeMeanwhile);
    const { parent = "", caller = "" } = request;
    const log = SessionLog.create(
      store,
      {
        sessionId,
        requestId: request.requestId,
        container: toJsonString(ContainerSpecSchema, request.container),
        userFiles,
      },
      { case: "sessionStarted", value: create(SessionStartedSchema, { sessionId, spec, parent, caller }) },
      { case: "stateChanged", value: create(StateChangedSchema, { state: Session_State.QUEUED }) },
      { case: "phaseChanged", value: create(PhaseChangedSchema, { phase: Phase.QUEUED }) },
    );
    const session = store.getSession(sessionId)!;
    this.#start({ spec, shape, log });
    return session;
  }

  /** With the snapshot that the caller has uploaded, where it names one. */
  #redeemed(given: SessionSpec): SessionSpec {
    const uploadId = given.repository?.snapshot?.uploadId ?? "";
    if (uploadId === "") return given;
    const spec = clone(SessionSpecSchema, given);
    spec.repository!.snapshot = this.#options.snapshots.redeem(uploadId);
    return spec;
  }

  async get(sessionId: string): Promise<Session> {
    const session = this.#options.store.getSession(sessionId);
    if (session === undefined) throw notFound(sessionId);
    // The log holds what fits into an event; the whole is beside it.
    const kept = isFinal(session.state) ? this.#options.store.left.getResult(sessionId) : undefined;
    if (kept !== undefined) session.result = kept;
    return this.#withHostsOwn(session);
  }

  async list(request: ListSessionsRequest): Promise<ListSessionsPage> {
    const page = listPage(this.#options.store, request);
    return { ...page, sessions: page.sessions.map((session) => this.#withHostsOwn(session)) };
  }

  async *watchAll(request: WatchSessionsRequest): AsyncGenerator<SessionsNews, undefined> {
    using _present = this.#audience.enter(request.ids ?? []);
    yield* this.#feed.watch(request);
  }

  /** With what no event says of it. */
  #withHostsOwn(session: Session): Session {
    const run = this.#runs.get(session.id);
    session.waitingReason = run?.waitingReason ?? "";
    if (session.live === undefined) return session;
    const used = run?.used ?? this.#options.store.usage.ofSession(session.id);
    if (used.requestCount > 0) session.live.meteredUsage = used;
    return session;
  }

  async markTaken(sessionId: string, taken: Parameters<Sessions["markTaken"]>[1]): Promise<void> {
    const session = await this.get(sessionId);
    this.#options.store.markTaken(sessionId, nextTaken(session, taken, { nowMs: Date.now() }));
  }

  async delete(sessionId: string, { discard } = { discard: false }): Promise<void> {
    const session = await this.get(sessionId);
    requireRemovable(session, { discard });
    await this.#options.store.deleteSession(sessionId);
    const snapshot = session.spec?.repository?.snapshot;
    if (snapshot !== undefined) await this.#options.snapshots.close(sessionId, snapshot);
  }

  async *watch(sessionId: string, options: ReadOptions): AsyncGenerator<SessionEvent[], undefined> {
    const { store } = this.#options;
    await this.get(sessionId);
    using _present = this.#audience.enter([sessionId]);
    // Without a run there is only what is stored.
    const abandoned = this.#runs.get(sessionId)?.failed ?? AbortSignal.abort();
    yield* new SessionLog(store, sessionId).read({ ...options, abandoned });
    if (options.signal.aborted) return;
    const session = store.getSession(sessionId);
    // Whoever asks has seen the last event.
    if (session !== undefined && isFinal(session.state)) return;
    if (abandoned.reason instanceof AppError) throw abandoned.reason;
    if (session === undefined) throw notFound(sessionId);
    throw new AppError("SESSION_NOT_LIVE", `Nobody runs session ${sessionId} any more; its log ends here.`, {
      kind: "ABORTED",
      help: "The host that ran it was killed. Start a new session.",
    });
  }

  async stop(sessionId: string, options: { reason: string }): Promise<void> {
    (await this.#run(sessionId))?.stop(options.reason);
  }

  async interrupt(sessionId: string): Promise<void> {
    const run = await this.#liveRun(sessionId);
    requireTurn(await this.get(sessionId));
    run.steering.interrupt();
  }

  async sendMessage(sessionId: string, message: { text: string; messageId?: string }): Promise<void> {
    await (await this.#liveRun(sessionId)).steering.sendMessage(message);
  }

  async decide(
    sessionId: string,
    { requestId, allow, message = "", forSession = false, decider = Decider.CALLER }: Decision,
  ): Promise<void> {
    const run = await this.#liveRun(sessionId);
    requireDecision(await this.get(sessionId), requestId, "permission");
    run.steering.decide(requestId, {
      case: "permissionDecision",
      value: create(PermissionDecisionSchema, { requestId, allow, message, forSession, decider }),
    });
  }

  async answer(sessionId: string, { requestId, answers: given, decider = Decider.CALLER }: Answers): Promise<void> {
    const run = await this.#liveRun(sessionId);
    const { sequence } = requireDecision(await this.get(sessionId), requestId, "question");
    const [asked] = this.#options.store.read(sessionId, { afterSequence: sequence - 1, limit: 1 });
    const answers = given.map((values) => create(QuestionAnswerSchema, { values: [...values] }));
    const questionCount = asked?.event.case === "questionAsked" ? asked.event.value.questions.length : 0;
    if (decider !== Decider.POLICY) checkAnswers(answers, questionCount);
    run.steering.decide(requestId, { case: "answer", value: create(AnswerSchema, { requestId, answers, decider }) });
  }

  async openArtifact(sessionId: string, kind: ArtifactKind): Promise<OpenArtifact> {
    const { state } = await this.get(sessionId);
    const stored = this.#options.store.left.getArtifact(sessionId, kind);
    if (stored !== undefined && (kind === Artifact_Kind.PATCH || stored.artifact.sizeBytes > 0n)) return opened(stored);
    if (kind === Artifact_Kind.PATCH) {
      return opened((await salvageChanges(new SessionLog(this.#options.store, sessionId))).patch);
    }
    const name = artifactName(kind);
    if (!isFinal(state)) {
      throw new AppError("SESSION_NOT_FINISHED", `The ${name} can be read once the session has finished.`);
    }
    const reason = kind === Artifact_Kind.COMMITS ? "COMMITS_MISSING" : "TRANSCRIPT_MISSING";
    throw new AppError(reason, `Claude left no ${name}.`);
  }

  async *dial(
    sessionId: string,
    bytes: AsyncIterable<Uint8Array>,
    options: { signal: AbortSignal },
  ): AsyncGenerator<Uint8Array, undefined> {
    const container = (await this.#run(sessionId))?.container;
    if (container === undefined) throw notRunning(sessionId);
    yield* carryBytes(container, bytes, options);
  }

  /** Lets go of every session as it is. The containers run on, and the next host takes them up. */
  async detach(): Promise<void> {
    this.#closing.abort(new Error("the host is shutting down"));
    const runs = [...this.#runs.values()];
    for (const run of runs) run.detach();
    await Promise.all(runs.map((run) => run.finished));
    this.#feed[Symbol.dispose]();
    this.#audience[Symbol.dispose]();
  }

  /** Ends every session at once and waits until their containers are gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    const runs = [...this.#runs.values()];
    for (const run of runs) run.kill("The host is shutting down.");
    await Promise.all(runs.map((run) => run.finished));
    this.#feed[Symbol.dispose]();
    this.#audience[Symbol.dispose]();
  }

  /** Throws NOT_FOUND, SESSION_OVER. */
  async #liveRun(sessionId: string): Promise<SessionRun> {
    const run = await this.#run(sessionId);
    if (run !== undefined) return run;
    throw new AppError("SESSION_OVER", `Session ${sessionId} is over.`, {
      help: "Go on with it in a new one: claudecluster run --continue, or continue_session.",
    });
  }

  /** The session's run; undefined if it is over. Throws NOT_FOUND. */
  async #run(sessionId: string): Promise<SessionRun | undefined> {
    const { state } = await this.get(sessionId);
    return isFinal(state) ? undefined : this.#runs.get(sessionId);
  }
}

function notFound(sessionId: string): AppError {
  return new AppError("SESSION_NOT_FOUND", `There is no session "${cutChars(sessionId, 64)}".`, {
    help: "list_sessions, or claudecluster list, shows those that there are.",
    metadata: { session_id: cutChars(sessionId, 64) },
  });
}

function opened(readable: ReadableArtifact): OpenArtifact {
  return { artifact: readable.artifact, read: (options) => readable.read(options), [Symbol.dispose]: () => {} };
}
