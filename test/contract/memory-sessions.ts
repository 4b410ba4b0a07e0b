import { create } from "@bufbuild/protobuf";
import { monotonicFactory } from "ulid";
import { memoryArtifact } from "../support/memory-artifact.ts";
import type { Container } from "../../host/runtime/runtime.ts";
import { carryBytes } from "../../host/session/carry-bytes.ts";
import { listPage } from "../../host/session/list-page.ts";
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
} from "../../host/session/sessions.ts";
import { SessionsFeed } from "../../host/session/sessions-feed.ts";
import { nextTaken, requireRemovable } from "../../host/session/taken-changes.ts";
import { SessionLog } from "../../host/session/session-log.ts";
import { notRunning, requireMessageRoom, requireTurn } from "../../host/session/states.ts";
import { SqliteStore } from "../../host/store/sqlite-store.ts";
import {
  AppError,
  Artifact_Kind,
  type ArtifactKind,
  CancellationSchema,
  checkMessage,
  checkAnswers,
  completeSpec,
  Decider,
  type EventBody,
  FailureSchema,
  type FileChange,
  isFinal,
  type MeteredUsage,
  PermissionDecidedSchema,
  QuestionAnsweredSchema,
  QuestionAnswerSchema,
  type ReadOptions,
  requireDecision,
  type Session,
  type SessionEvent,
  SessionFinishedSchema,
  type SessionResult,
  SessionResultSchema,
  SessionStartedSchema,
  Session_State,
  SuccessSchema,
  TurnStartedSchema,
  UserMessageSchema,
} from "../../proto/index.ts";

/** In the order of their creation, also within a millisecond. */
const ulid = monotonicFactory();

/** Sessions without containers of their own: everything that happens to them is what a test says. */
export class MemorySessions implements Sessions, Disposable {
  readonly #store = SqliteStore.open(":memory:");
  readonly #patches = new Map<string, Uint8Array>();
  /** What sessions wait for that no event says, by their ids. */
  readonly #waitingReasons = new Map<string, string>();
  readonly #feed = SessionsFeed.start({ store: this.#store, complete: (session) => this.#withHostsOwn(session) });
  /** What their agents are dialled in, by their ids. */
  readonly containers = new Map<string, Container>();
  readonly messages: string[] = [];
  readonly interrupted: string[] = [];
  /** How many events readers have been given. */
  readCount = 0;
  /** Readers that have not been left. */
  watcherCount = 0;
  /** Readers of all sessions that have not been left. */
  feedReaderCount = 0;

  async create({ spec, parent = "", caller = "", requestId }: CreateSessionRequest): Promise<Session> {
    const known = requestId === undefined ? undefined : this.#store.findByRequest(requestId);
    if (known !== undefined) return this.get(known);
    const complete = completeSpec(spec);
    const sessionId = `ses_${ulid()}`;
    const value = create(SessionStartedSchema, { sessionId, spec: complete, parent, caller });
    const events = [{ event: { case: "sessionStarted" as const, value }, occurTimeMs: 1_700_000_000_000 }];
    this.#store.createSession(sessionId, { requestId, container: "", events });
    return this.get(sessionId);
  }

  /** Something happens to a session. */
  say(sessionId: string, ...events: EventBody[]): void {
    this.#store.append(
      sessionId,
      events.map((event) => ({ event, occurTimeMs: 1_700_000_000_000 })),
    );
  }

  /** The patch of a session is another one from now on. */
  change(sessionId: string, patch: Uint8Array): void {
    this.#patches.set(sessionId, patch);
  }

  /** A session ends well, with this patch. */
  finish(sessionId: string, patch = new Uint8Array(), changes: FileChange[] = []): void {
    this.#end(sessionId, Session_State.SUCCEEDED, { case: "success", value: create(SuccessSchema) }, patch, changes);
  }

  /** A session fails. */
  fail(sessionId: string, reason: string): void {
    const outcome = { case: "failure" as const, value: create(FailureSchema, { reason }) };
    this.#end(sessionId, Session_State.FAILED, outcome, new Uint8Array());
  }

  async get(sessionId: string): Promise<Session> {
    const session = this.#store.getSession(sessionId);
    if (session !== undefined) return this.#withHostsOwn(session);
    throw new AppError("SESSION_NOT_FOUND", `There is no session "${sessionId}".`, {
      help: "list_sessions, or claudecluster list, shows those that there are.",
      metadata: { session_id: sessionId },
    });
  }

  async list(request: ListSessionsRequest): Promise<ListSessionsPage> {
    const page = listPage(this.#store, request);
    return { ...page, sessions: page.sessions.map((session) => this.#withHostsOwn(session)) };
  }

  #withHostsOwn(session: Session): Session {
    session.waitingReason = this.#waitingReasons.get(session.id) ?? "";
    const used = this.#store.usage.ofSession(session.id);
    if (session.live !== undefined && used.requestCount > 0) session.live.meteredUsage = used;
    return session;
  }

  /** A session waits for something that no event says, or with "" goes on. */
  wait(sessionId: string, reason: string): void {
    this.#waitingReasons.set(sessionId, reason);
    this.#feed.note(sessionId);
  }

  /** A session uses the model. */
  use(sessionId: string, usage: MeteredUsage): void {
    this.#store.usage.add(sessionId, "2026-11-23", usage);
    this.#feed.note(sessionId);
  }

  async *watchAll(request: WatchSessionsRequest): AsyncGenerator<SessionsNews, undefined> {
    this.feedReaderCount += 1;
    try {
      yield* this.#feed.watch(request);
    } finally {
      this.feedReaderCount -= 1;
    }
  }

  async *watch(sessionId: string, options: ReadOptions): AsyncGenerator<SessionEvent[], undefined> {
    await this.get(sessionId);
    this.watcherCount += 1;
    try {
      for await (const batch of new SessionLog(this.#store, sessionId).read(options)) {
        this.readCount += batch.length;
        yield batch;
      }
    } finally {
      this.watcherCount -= 1;
    }
  }

  async stop(sessionId: string, { reason }: { reason: string }): Promise<void> {
    if (isFinal((await this.get(sessionId)).state)) return;
    const value = create(CancellationSchema, { reason });
    this.#end(sessionId, Session_State.CANCELED, { case: "cancellation", value }, new Uint8Array());
  }

  async interrupt(sessionId: string): Promise<void> {
    const session = await this.#live(sessionId);
    requireTurn(session);
    this.interrupted.push(sessionId);
  }

  async sendMessage(sessionId: string, message: { text: string; messageId?: string }): Promise<void> {
    const session = await this.#live(sessionId);
    checkMessage({ messageId: "", ...message });
    requireMessageRoom(session, 0);
    this.messages.push(create(UserMessageSchema, message).text);
    const value = create(TurnStartedSchema, { turn: session.turnCount + 1, text: message.text });
    this.say(sessionId, { case: "turnStarted", value });
  }

  async decide(sessionId: string, decision: Decision): Promise<void> {
    const { requestId, allow: allowed, message = "", forSession = false, decider = Decider.CALLER } = decision;
    const { sequence } = requireDecision(await this.get(sessionId), requestId, "permission");
    const asked = this.#store.read(sessionId, { afterSequence: sequence - 1, limit: 1 })[0]!.event;
    const sessionRules = forSession && asked.case === "permissionRequested" ? asked.value.sessionRules : [];
    const fields = { requestId, allowed, message, decider, sessionRules };
    this.say(sessionId, { case: "permissionDecided", value: create(PermissionDecidedSchema, fields) });
  }

  async answer(sessionId: string, { requestId, answers: given, decider = Decider.CALLER }: Answers): Promise<void> {
    const { sequence } = requireDecision(await this.get(sessionId), requestId, "question");
    const asked = this.#store.read(sessionId, { afterSequence: sequence - 1, limit: 1 })[0]!.event;
    const questions = asked.case === "questionAsked" ? asked.value.questions : [];
    const answers = given.map((values) => create(QuestionAnswerSchema, { values: [...values] }));
    if (decider !== Decider.POLICY) checkAnswers(answers, questions.length);
    const value = create(QuestionAnsweredSchema, { requestId, answers, decider });
    this.say(sessionId, { case: "questionAnswered", value });
  }

  async #live(sessionId: string): Promise<Session> {
    const session = await this.get(sessionId);
    if (!isFinal(session.state)) return session;
    throw new AppError("SESSION_OVER", `Session ${sessionId} is over.`);
  }

  async markTaken(sessionId: string, taken: Parameters<Sessions["markTaken"]>[1]): Promise<void> {
    this.#store.markTaken(sessionId, nextTaken(await this.get(sessionId), taken, { nowMs: 1_700_000_000_000 }));
  }

  async delete(sessionId: string, { discard } = { discard: false }): Promise<void> {
    requireRemovable(await this.get(sessionId), { discard });
    await this.#store.deleteSession(sessionId);
  }

  async openArtifact(sessionId: string, kind: ArtifactKind): Promise<OpenArtifact> {
    const { state } = await this.get(sessionId);
    if (kind === Artifact_Kind.PATCH) return memoryArtifact(kind, this.#patches.get(sessionId) ?? new Uint8Array());
    throw new AppError(isFinal(state) ? "TRANSCRIPT_MISSING" : "SESSION_NOT_FINISHED", "There is no transcript.");
  }

  async *dial(
    sessionId: string,
    bytes: AsyncIterable<Uint8Array>,
    { signal }: { signal: AbortSignal },
  ): AsyncGenerator<Uint8Array, undefined> {
    const { state } = await this.get(sessionId);
    const container = isFinal(state) ? undefined : this.containers.get(sessionId);
    if (container === undefined) throw notRunning(sessionId);
    yield* carryBytes(container, bytes, { signal });
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]();
  }

  #end(
    sessionId: string,
    state: Session_State,
    outcome: SessionResult["outcome"],
    patch: Uint8Array,
    changes: FileChange[] = [],
  ): void {
    this.#patches.set(sessionId, patch);
    const fields = { outcome, changes, changeCount: changes.length, patchSizeBytes: BigInt(patch.length) };
    const result = create(SessionResultSchema, fields);
    this.say(sessionId, { case: "sessionFinished", value: create(SessionFinishedSchema, { state, result }) });
  }
}
