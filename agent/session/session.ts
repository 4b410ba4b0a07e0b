import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import type { Logger } from "../log.ts";
import {
  AppError,
  Artifact_Kind,
  type ArtifactKind,
  CloneProgressSchema,
  DEFAULT_TIMEOUT_MS,
  type EventBody,
  type EventLog,
  type Failure,
  type LeftWork,
  Phase,
  type Session,
  Session_State as State,
  type SessionSpec,
  WorkspaceReadySchema,
} from "../../proto/index.ts";
import type { Opening } from "../claude/opening.ts";
import type { ClaudeExit, Conversation } from "../claude/conversation.ts";
import { authenticationFailure, isRefusedCredential } from "../claude/turn-failure.ts";
import type { Workspace } from "../git/workspace.ts";
import { afterRunning } from "../../proto/index.ts";
import { childrenCpuTicks } from "../process/cpu-time.ts";
import type { Timeouts } from "../timeouts.ts";
import { afterPatience } from "../wait.ts";
import { ChangesStream } from "./changes-stream.ts";
import { type Collected, collectChanges, collectLeftWork, collectTranscript, NOTHING_COLLECTED } from "./collect.ts";
import { Decisions } from "./decisions.ts";
import { MessageQueue } from "./message-queue.ts";
import { openConversation } from "./open-conversation.ts";
import { type EndReason, failureOf, finalState, outcomeOf, processExit, withFullDirectories } from "./outcome.ts";
import type { Restore } from "./incoming-artifacts.ts";
import { SessionRecord } from "./session-record.ts";
import { wholeResult } from "./session-result.ts";
import type { SessionPlace } from "./session-place.ts";
import { messageQueued } from "./turn-events.ts";
import { Turns } from "./turns.ts";

/** What an agent is given once in its life. */
export interface Assignment {
  id: string;
  /** With its defaults filled in. */
  spec: SessionSpec;
  /** What it continues. */
  restore: Restore | undefined;
  /** Beginnings of URLs that git reaches by its own listener. */
  gitPrefixes: readonly string[];
}

/** What an agent has before anybody knows which session it will run. */
export interface SessionSurroundings {
  /** Where the session happens. */
  place: SessionPlace;
  timeouts: Timeouts;
  log: Logger;
}

/** The session: a workspace, a Claude in it, and the log of what happens. It ends with a result, whatever happens. */
export class AgentSession {
  readonly id: string;
  /** git goes by its own listener, for some URLs. */
  readonly usesGitListener: boolean;
  /** What Claude waits for. */
  readonly decisions: Decisions;
  readonly #options: Omit<Assignment, "restore"> & SessionSurroundings;
  readonly #finished = Promise.withResolvers<undefined>();
  /** Undefined once it has been used: it may be large. */
  #restore: Restore | undefined;
  readonly #logger: Logger;
  readonly #record: SessionRecord;
  readonly #messages: MessageQueue;
  readonly #turns: Turns;
  /** Aborted with an EndReason when the session is to end before it ends by itself. */
  readonly #ending = new AbortController();
  /** Aborted when Claude gets no more time to end by itself, and when nothing does. */
  readonly #hurryClaude = new AbortController();
  readonly #hurry = new AbortController();
  /** Aborted when a full log is not waited for any more: what has no room is left out. */
  readonly #noMoreRoom = new AbortController();
  /** How the session ends is settled. */
  #collecting = false;
  #conversation: Conversation | undefined;
  #changes: ChangesStream | undefined;
  #workspace: Workspace | undefined;
  #collected: Collected = NOTHING_COLLECTED;
  #leftWork: LeftWork | undefined;
  #transcript: Buffer = Buffer.alloc(0);

  private constructor({ restore, ...assignment }: Assignment, surroundings: SessionSurroundings) {
    const options = { ...assignment, ...surroundings };
    const { id, spec, log } = options;
    this.id = id;
    this.usesGitListener = options.gitPrefixes.length > 0;
    this.#options = options;
    this.#restore = restore;
    this.#logger = log.child({ sessionId: id });
    this.#record = new SessionRecord(id, spec);
    this.#messages = new MessageQueue({ maxCount: spec.maxTurnCount });
    this.#turns = new Turns({
      spec,
      messages: this.#messages,
      emit: (event) => this.#emit(event),
      enterState: (state) => this.#record.enterState(state),
      endReason: () => this.#endReason,
      changesTold: (signal) => this.#tellChanges(signal),
      onHopeless: (failure) => this.#end({ kind: "failed", failure }),
    });
    this.decisions = new Decisions({
      timeoutMs: spec.decisionTimeout === undefined ? 0 : durationMs(spec.decisionTimeout),
      emit: (event) => this.#emit(event),
      tell: (requestId, verdict) => {
        if (verdict.allowed) this.#conversation?.permit(requestId, verdict.input);
        else this.#conversation?.deny(requestId, verdict.message);
      },
      onWaiting: (waiting) => {
        if (this.#turns.running && !this.#collecting) this.#record.enterState(waiting ? State.WAITING : State.RUNNING);
      },
    });
  }

  /** Starts the session that the agent is given. Its task is its first message. */
  static start(assignment: Assignment, surroundings: SessionSurroundings): AgentSession {
    const session = new AgentSession(assignment, surroundings);
    session.#record.enterState(State.PREPARING);
    session.#messages.add(assignment.spec.task, "");
    void session.#run().then(() => session.#finished.resolve(undefined));
    return session;
  }

  /** Resolves when the result is there. Never rejects. */
  get finished(): Promise<unknown> {
    return this.#finished.promise;
  }

  get log(): EventLog {
    return this.#record.log;
  }

  get over(): boolean {
    return this.log.ended;
  }

  /** The session as its events tell it, long texts cut. */
  snapshot(): Session {
    return this.#record.snapshot();
  }

  /** The session with its texts and lists whole. */
  whole(): Session {
    return this.#record.whole();
  }

  /** Queues a message for Claude. Throws if it cannot be taken. */
  sendMessage(text: string, messageId: string): void {
    if (!this.#messages.add(text, messageId)) return;
    const waitingCount = this.#messages.length;
    if (waitingCount > 1 || this.#record.state !== State.IDLE) this.#emit(messageQueued(messageId, waitingCount));
  }

  /** Ends the running turn, if one is running. */
  interrupt(): void {
    if (this.#turns.interrupt()) this.#conversation?.interrupt();
  }

  /** Ends the session; the changes are still collected. */
  stop(reason: string): void {
    this.#end({ kind: "stopped", reason });
  }

  /**
   * Ends the session with the agent: Claude has its part of the time, the rest is for the changes.
   * Once the signal is aborted, nothing is waited for any more.
   */
  async shutDown({ signal }: { signal: AbortSignal }): Promise<void> {
    this.#end({ kind: "shutDown" });
    const timer = setTimeout(() => this.#hurryClaude.abort(), this.#options.timeouts.shutdownClaudeMs);
    const hurry = () => {
      this.#noMoreRoom.abort();
      this.#hurryClaude.abort();
      this.#hurry.abort();
    };
    if (signal.aborted) hurry();
    signal.addEventListener("abort", hurry, { once: true });
    await this.finished;
    signal.removeEventListener("abort", hurry);
    clearTimeout(timer);
  }

  /** An artifact: the patch as it is now or as it was left. Throws SESSION_NOT_FINISHED, TRANSCRIPT_MISSING. */
  async readArtifact(kind: ArtifactKind, { signal }: { signal: AbortSignal }): Promise<Buffer> {
    if (kind === Artifact_Kind.TRANSCRIPT) return this.#requireTranscript();
    if (this.over || this.#workspace === undefined) return this.#collected.patch;
    return (await this.#workspace.collect({ signal })).patch;
  }

  #requireTranscript(): Buffer {
    if (this.over && this.#transcript.length > 0) return this.#transcript;
    if (this.over) throw new AppError("TRANSCRIPT_MISSING", "Claude left no transcript.");
    throw new AppError("SESSION_NOT_FINISHED", "The transcript is there once the session has finished.");
  }

  /** Claude has written to the model API. */
  noticeModelRequest(): void {
    if (this.#record.phase === Phase.FIRST_REQUEST) this.#record.enterPhase(Phase.WORK);
  }

  async #run(): Promise<void> {
    const timer = setTimeout(() => this.#timeOut(), this.#timeoutMs);
    let error: unknown;
    try {
      await this.#work(this.#ending.signal);
    } catch (cause) {
      if (!this.#ending.signal.aborted) error = cause;
    }
    clearTimeout(timer);
    const end = this.#endReason;
    if (error !== undefined && !(error instanceof AppError)) this.#logger.error({ err: error }, "the session failed");
    this.#messages.close(sessionEnded());
    this.#collecting = true;
    const patience = afterRunning(this.#options.timeouts.collectMs, () => this.#noMoreRoom.abort());
    this.#record.enterState(State.STOPPING);
    this.#record.enterPhase(Phase.COLLECT);
    let exit: ClaudeExit | undefined;
    const fullDirectories = await this.#options.place.fullDirectories();
    try {
      exit = await this.#endClaude();
      await this.#collect();
    } catch (cause) {
      // Whatever it is, the session gets its end.
      this.#logger.error({ err: cause }, "ending the session failed");
      error ??= cause;
    }
    patience();
    this.#finish({ end, error, exit, fullDirectories });
  }

  /** Prepares, then runs one turn after the other until there is nothing more to do. */
  async #work(signal: AbortSignal): Promise<void> {
    const { place, spec, gitPrefixes } = this.#options;
    this.#record.enterPhase(Phase.WORKSPACE);
    const workspace = (this.#workspace = await place.openWorkspace({
      repository: spec.repository,
      gitPrefixes,
      signal,
      onProgress: ({ stage, percent }) =>
        this.#emit({
          case: "cloneProgress",
          value: create(CloneProgressSchema, { stage, ...(percent !== undefined && { percent }) }),
        }),
    }));
    const { baseCommitId } = workspace;
    this.#emit({ case: "workspaceReady", value: create(WorkspaceReadySchema, { baseCommitId }) });
    const restore = this.#restore;
    this.#restore = undefined;
    if (restore !== undefined) await workspace.restore(restore.patch, { signal });
    this.#changes = new ChangesStream({
      workspace,
      emit: (event) => this.#emit(event),
      roomy: () => this.#roomy(),
      log: this.#logger,
    });
    this.#changes.start();
    if (restore !== undefined) this.#changes.poke();
    this.#record.enterPhase(Phase.CLAUDE);
    this.#conversation = await openConversation({
      restore,
      previousSessionId: spec.previousSessionId,
      place,
      cwd: workspace.workTree,
      signal,
      start: (opening) => this.#startClaude({ opening, cwd: workspace.workTree, signal }),
      onRestored: (value) => this.#emit({ case: "sessionRestored", value }),
    });
    this.#record.enterPhase(Phase.FIRST_REQUEST);
    await this.#turns.takeAll(this.#conversation, signal);
  }

  async #startClaude(options: { opening: Opening; cwd: string; signal: AbortSignal }): Promise<Conversation> {
    const start = () =>
      this.#options.place.startClaude({
        ...options,
        spec: this.#options.spec,
        gitPrefixes: this.#options.gitPrefixes,
        log: this.#logger,
        emit: (event) => this.#emit(event),
        roomy: () => this.#roomy(),
        onTurnEnd: (result) => this.#turns.finish({ result }),
        onResult: (result) => this.#turns.countUsage(result),
        onRetry: ({ httpStatus }) => {
          if (isRefusedCredential(httpStatus))
            this.#end({ kind: "failed", failure: authenticationFailure(httpStatus) });
        },
        onPermissionRequest: (request) => this.decisions.ask(request),
        onRequestCanceled: (requestId) => this.decisions.withdraw(requestId),
      });
    const conversation = await start().catch((error: unknown) => {
      // It never began with anything: on a busy machine another one may fare better.
      if (options.signal.aborted || !(error instanceof AppError) || !error.retryable) throw error;
      this.#logger.warn({ err: error }, "Claude is started again");
      return start();
    });
    // Before the turn ends with it.
    void conversation.exited.then(() => this.decisions.close());
    return conversation;
  }

  /** Tells what has changed so far. What cannot be read now is told later, or with the result. */
  async #tellChanges(signal: AbortSignal): Promise<void> {
    const late = new AbortController();
    const patience = { ms: this.#options.timeouts.tellChangesMs, progress: childrenCpuTicks };
    const cancel = afterPatience(patience, () => late.abort());
    try {
      await this.#changes?.scan({ signal: AbortSignal.any([signal, late.signal]) });
    } catch (error) {
      if (!signal.aborted) this.#logger.warn({ err: error }, "scanning the workspace after a turn failed");
    } finally {
      cancel();
    }
  }

  async #endClaude(): Promise<ClaudeExit | undefined> {
    const conversation = this.#conversation;
    if (conversation === undefined) return undefined;
    const exit = await conversation.end({ signal: this.#hurryClaude.signal });
    this.#turns.finish({ exit });
    return exit;
  }

  async #collect(): Promise<void> {
    const workspace = this.#workspace;
    const changes = this.#changes;
    await changes?.stop();
    // From here on nothing runs that could change a file.
    let left: Failure | undefined;
    await this.#options.place.killLeftovers().catch((error: unknown) => {
      this.#logger.error({ err: error }, "some processes of the session could not be ended");
      left = failureOf(error);
    });
    if (workspace === undefined || changes === undefined) return;
    const late = new AbortController();
    const patience = { ms: this.#options.timeouts.collectMs, progress: childrenCpuTicks };
    const cancel = afterPatience(patience, () => late.abort());
    const options = { signal: AbortSignal.any([this.#hurry.signal, late.signal]), log: this.#logger };
    try {
      const collected = await collectChanges(workspace, changes, options);
      this.#collected = { ...collected, failure: collected.failure ?? left };
      // Asking a submodule what it is may have run a filter of its configuration.
      await this.#options.place.killLeftovers().catch((error: unknown) => {
        this.#logger.error({ err: error }, "a program of a submodule's could not be ended");
      });
      this.#transcript = await collectTranscript(this.#options.place, this.#record.conversationId, options);
      this.#leftWork = await collectLeftWork(workspace, this.#collected, options);
    } finally {
      cancel();
    }
  }

  #finish(facts: {
    end: EndReason | undefined;
    error: unknown;
    exit: ClaudeExit | undefined;
    fullDirectories: readonly string[];
  }): void {
    const { end, error, exit, fullDirectories } = facts;
    const { failure: incomplete, headCommitId, treeId, ...collected } = this.#collected;
    const { changes, unreadablePaths, unreadableReasons, ignoredFiles } = collected;
    const leftWork = this.#leftWork;
    let outcome = outcomeOf({
      end,
      error: error === undefined ? undefined : failureOf(error),
      lastTurn: this.#turns.last,
    });
    if (outcome.case === "success" && incomplete !== undefined) outcome = { case: "failure", value: incomplete };
    outcome = withFullDirectories(outcome, fullDirectories);
    const result = wholeResult(
      { outcome, finalText: this.#turns.finalText, ...collected },
      {
        baseCommitId: this.#workspace?.baseCommitId ?? "",
        finalTextTurn: this.#turns.finalTextTurn,
        headCommitId,
        treeId,
        patchTruncated: incomplete !== undefined || collected.incomplete || unreadablePaths.length > 0,
        ...(incomplete !== undefined && { patchFailure: incomplete }),
        unreadableReasons: [...unreadableReasons],
        ...(leftWork !== undefined && { leftWork }),
        ...(ignoredFiles !== undefined && { ignoredFiles }),
        usage: this.#turns.usage.usage(),
        ...(exit !== undefined && { processExit: processExit(exit, end) }),
        elapsed: durationFromMs(Math.max(0, Math.round(Date.now() - this.#record.createTimeMs))),
        conversationId: this.#record.conversationId,
        transcriptSizeBytes: BigInt(this.#transcript.length),
      },
    );
    const state = finalState(outcome);
    this.#record.finish(state, result);
    this.#logger.info({ state: State[state], turns: this.#turns.count, changes: changes.length }, "session finished");
  }

  #timeOut(): void {
    // No turn can end in time any more; the one before has.
    if (this.#turns.count > 0 && !this.#turns.running) this.#turns.endIdling();
    else this.#end({ kind: "timedOut", timeoutMs: this.#timeoutMs });
  }

  /** The first reason is the one that counts. */
  #end(reason: EndReason): void {
    if (this.#collecting || this.#ending.signal.aborted) return;
    this.#messages.close(sessionEnded());
    this.#noMoreRoom.abort();
    this.#ending.abort(reason);
  }

  get #endReason(): EndReason | undefined {
    return this.#ending.signal.aborted ? (this.#ending.signal.reason as EndReason) : undefined;
  }

  get #timeoutMs(): number {
    const { timeout } = this.#options.spec;
    return timeout === undefined ? DEFAULT_TIMEOUT_MS : durationMs(timeout);
  }

  #emit(event: EventBody): void {
    this.#record.emit(event);
    this.#changes?.notice(event);
  }

  #roomy(): Promise<boolean> {
    return this.#record.roomy(this.#noMoreRoom.signal);
  }
}

function sessionEnded(): AppError {
  return new AppError("SESSION_ENDED", "The session is ending or over and takes no more messages.", {
    help: "Continue it with a new session.",
  });
}
