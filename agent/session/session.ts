import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import type { Logger } from "../log.ts";
import {
  AppError,
  CloneProgressSchema,
  DEFAULT_TIMEOUT_MS,
  type EventBody,
  type EventLog,
  Phase,
  type Session,
  Session_State as State,
  type SessionSpec,
  UsageUpdatedSchema,
} from "../../proto/index.ts";
import type { ClaudeResult } from "../claude/claude-result.ts";
import type { ClaudeExit, Conversation } from "../claude/conversation.ts";
import { authenticationFailure, isRefusedCredential, turnFailure } from "../claude/turn-failure.ts";
import { UsageMeter } from "../claude/usage-meter.ts";
import type { Workspace } from "../git/workspace.ts";
import type { Timeouts } from "../timeouts.ts";
import { ChangesStream } from "./changes-stream.ts";
import { type Collected, collectChanges, NOTHING_COLLECTED } from "./collect.ts";
import { Decisions } from "./decisions.ts";
import { MessageQueue, type QueuedMessage } from "./message-queue.ts";
import {
  type EndReason,
  exitFailure,
  failureOf,
  finalState,
  outcomeOf,
  processExit,
  type TurnOutcome,
  turnOutcomeOfEnd,
} from "./outcome.ts";
import { SessionRecord } from "./session-record.ts";
import { wholeResult } from "./session-result.ts";
import type { SessionPlace } from "./session-place.ts";
import { messageQueued, turnFinished, turnStarted } from "./turn-events.ts";

export interface SessionOptions {
  id: string;
  /** With its defaults filled in. */
  spec: SessionSpec;
  /** Where the session happens. */
  place: SessionPlace;
  timeouts: Timeouts;
  log: Logger;
}

interface RunningTurn {
  readonly number: number;
  readonly startMs: number;
  interrupted: boolean;
  readonly over: () => void;
}

/**
 * The session: a workspace, a Claude in it, and the log of what happens. It begins when it is
 * created, and ends with a result, whatever happens.
 */
export class AgentSession {
  readonly id: string;
  /** Resolves when the result is there. Never rejects. */
  readonly finished: Promise<void>;
  /** What Claude waits for. */
  readonly decisions: Decisions;
  readonly #options: SessionOptions;
  readonly #logger: Logger;
  readonly #record: SessionRecord;
  readonly #messages: MessageQueue;
  readonly #usage = new UsageMeter();
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
  #turnCount = 0;
  #turn: RunningTurn | undefined;
  #lastTurn: TurnOutcome | undefined;
  #finalText = "";
  /** Aborted when the session has waited long enough for another message. */
  readonly #idleOver = new AbortController();
  #collected: Collected = NOTHING_COLLECTED;

  constructor(options: SessionOptions) {
    const { id, spec, log } = options;
    this.id = id;
    this.#options = options;
    this.#logger = log.child({ sessionId: id });
    this.#record = new SessionRecord(id, spec);
    this.#messages = new MessageQueue({ maxCount: spec.maxTurnCount });
    this.#record.enterState(State.PREPARING);
    this.decisions = new Decisions({
      timeoutMs: spec.decisionTimeout === undefined ? 0 : durationMs(spec.decisionTimeout),
      emit: (event) => this.#emit(event),
      tell: (requestId, verdict) => {
        if (verdict.allowed) this.#conversation?.permit(requestId, verdict.input);
        else this.#conversation?.deny(requestId, verdict.message);
      },
      onWaiting: (waiting) => {
        if (this.#turn !== undefined && !this.#collecting)
          this.#record.enterState(waiting ? State.WAITING : State.RUNNING);
      },
    });
    this.#messages.add(spec.task, "");
    this.finished = this.#run();
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
    if (this.#turn === undefined) return;
    this.#turn.interrupted = true;
    this.#conversation?.interrupt();
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

  /** The patch as it is now, or as it was left. */
  async readPatch({ signal }: { signal: AbortSignal }): Promise<Buffer> {
    if (this.over || this.#workspace === undefined) return this.#collected.patch;
    return (await this.#workspace.collect({ signal })).patch;
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
    const patience = setTimeout(() => this.#noMoreRoom.abort(), this.#options.timeouts.collectMs);
    this.#record.enterState(State.STOPPING);
    this.#record.enterPhase(Phase.COLLECT);
    let exit: ClaudeExit | undefined;
    try {
      exit = await this.#endClaude();
      await this.#collect();
    } catch (cause) {
      // Whatever it is, the session gets its end.
      this.#logger.error({ err: cause }, "ending the session failed");
      error ??= cause;
    }
    clearTimeout(patience);
    this.#finish({ end, error, exit });
  }

  /** Prepares, then runs one turn after the other until there is nothing more to do. */
  async #work(signal: AbortSignal): Promise<void> {
    const { place, spec } = this.#options;
    this.#record.enterPhase(Phase.WORKSPACE);
    const workspace = (this.#workspace = await place.openWorkspace({
      spec,
      signal,
      onProgress: ({ stage, percent }) =>
        this.#emit({
          case: "cloneProgress",
          value: create(CloneProgressSchema, { stage, ...(percent !== undefined && { percent }) }),
        }),
    }));
    this.#changes = new ChangesStream({
      workspace,
      emit: (event) => this.#emit(event),
      roomy: () => this.#roomy(),
      log: this.#logger,
    });
    this.#changes.start();
    this.#record.enterPhase(Phase.CLAUDE);
    this.#conversation = await place.startClaude({
      spec,
      cwd: workspace.workTree,
      signal,
      log: this.#logger,
      emit: (event) => this.#emit(event),
      roomy: () => this.#roomy(),
      onTurnEnd: (result) => this.#finishTurn({ result }),
      onResult: (result) => this.#countUsage(result),
      onRetry: ({ httpStatus }) => {
        if (isRefusedCredential(httpStatus)) this.#end({ kind: "failed", failure: authenticationFailure(httpStatus) });
      },
      onPermissionRequest: (request) => this.decisions.ask(request),
      onRequestCanceled: (requestId) => this.decisions.withdraw(requestId),
    });
    this.#record.enterPhase(Phase.FIRST_REQUEST);
    await this.#takeTurns(this.#conversation, signal);
  }

  async #takeTurns(conversation: Conversation, signal: AbortSignal): Promise<void> {
    const gone = new AbortController();
    const over = AbortSignal.any([signal, gone.signal]);
    void conversation.exited.then(() => gone.abort());
    while (!over.aborted) {
      const message = this.#messages.take() ?? (await this.#nextMessage(over));
      if (message === undefined) return;
      await this.#takeTurn(conversation, message, over);
      const failed = this.#lastTurn?.failure;
      if (failed?.reason === "AUTHENTICATION_FAILED") this.#end({ kind: "failed", failure: failed });
    }
    const { exit } = conversation;
    if (exit !== undefined && !signal.aborted && this.#messages.take() !== undefined) {
      this.#lastTurn = { failure: exitFailure(exit), interrupted: false };
    }
  }

  /** Waits as IDLE for a message, as long as the session allows. */
  async #nextMessage(over: AbortSignal): Promise<QueuedMessage | undefined> {
    const { idleTimeout, maxTurnCount } = this.#options.spec;
    const idleMs = idleTimeout === undefined ? 0 : durationMs(idleTimeout);
    if (idleMs === 0 || this.#idleOver.signal.aborted || this.#turnCount === maxTurnCount) return undefined;
    this.#record.enterState(State.IDLE);
    const timer = setTimeout(() => this.#idleOver.abort(), idleMs);
    await this.#messages.filled(AbortSignal.any([over, this.#idleOver.signal]));
    clearTimeout(timer);
    return over.aborted ? undefined : this.#messages.take();
  }

  /** Resolves when the turn is over, or when the session is to end; then the turn ends with Claude. */
  async #takeTurn(conversation: Conversation, message: QueuedMessage, over: AbortSignal): Promise<void> {
    const number = ++this.#turnCount;
    this.#emit(turnStarted(number, message));
    this.#record.enterState(State.RUNNING);
    await new Promise<void>((resolve) => {
      const done = () => {
        over.removeEventListener("abort", done);
        resolve();
      };
      over.addEventListener("abort", done);
      this.#turn = { number, startMs: performance.now(), interrupted: false, over: done };
      conversation.say(message.text);
    });
    // An exit in the middle of it, unless the session is being ended: then the end says how it went.
    if (!this.#ending.signal.aborted && conversation.exit !== undefined) this.#finishTurn({ exit: conversation.exit });
  }

  #finishTurn(how: { result?: ClaudeResult; exit?: ClaudeExit }): void {
    if (how.exit !== undefined) this.decisions.close();
    const turn = this.#turn;
    if (turn === undefined) return;
    this.#turn = undefined;
    const outcome = this.#turnOutcome(turn, how);
    this.#lastTurn = outcome;
    // An interrupted Claude says nothing worth keeping over the answer before.
    const said = how.result?.isError === false ? how.result.text : "";
    if (said !== "") this.#finalText = said;
    const elapsedMs = performance.now() - turn.startMs;
    this.#emit(turnFinished(turn.number, { outcome, said, elapsedMs, usage: this.#usage.usage() }));
    turn.over();
  }

  #turnOutcome(turn: RunningTurn, { result, exit }: { result?: ClaudeResult; exit?: ClaudeExit }): TurnOutcome {
    const end = this.#endReason;
    // A turn that ended well in the last moment ended well.
    if (result?.isError === false && !turn.interrupted) return { failure: undefined, interrupted: false };
    if (end !== undefined) return turnOutcomeOfEnd(end);
    if (turn.interrupted) return { failure: undefined, interrupted: true };
    const failure = result === undefined ? exit && exitFailure(exit) : turnFailure(result);
    return { failure, interrupted: false };
  }

  #countUsage(result: ClaudeResult): void {
    this.#usage.add(result);
    this.#emit({ case: "usageUpdated", value: create(UsageUpdatedSchema, { usage: this.#usage.usage() }) });
  }

  async #endClaude(): Promise<ClaudeExit | undefined> {
    const conversation = this.#conversation;
    if (conversation === undefined) return undefined;
    const exit = await conversation.end({ signal: this.#hurryClaude.signal });
    this.#finishTurn({ exit });
    return exit;
  }

  async #collect(): Promise<void> {
    const workspace = this.#workspace;
    const changes = this.#changes;
    await changes?.stop();
    // From here on nothing runs that could change a file.
    await this.#options.place.killLeftovers().catch((error: unknown) => {
      this.#logger.error({ err: error }, "some processes of the session could not be ended");
    });
    if (workspace === undefined || changes === undefined) return;
    const signal = AbortSignal.any([this.#hurry.signal, AbortSignal.timeout(this.#options.timeouts.collectMs)]);
    this.#collected = await collectChanges(workspace, changes, { signal, log: this.#logger });
  }

  #finish(facts: { end: EndReason | undefined; error: unknown; exit: ClaudeExit | undefined }): void {
    const { end, error, exit } = facts;
    const { changes, patch, unreadablePaths, headCommitId, failure: incomplete } = this.#collected;
    let outcome = outcomeOf({
      end,
      error: error === undefined ? undefined : failureOf(error),
      lastTurn: this.#lastTurn,
    });
    if (outcome.case === "success" && incomplete !== undefined) outcome = { case: "failure", value: incomplete };
    const result = wholeResult(
      { outcome, finalText: this.#finalText, changes, patch, unreadablePaths },
      {
        baseCommitId: this.#workspace?.baseCommitId ?? "",
        headCommitId,
        patchTruncated: incomplete !== undefined || unreadablePaths.length > 0,
        usage: this.#usage.usage(),
        ...(exit !== undefined && { processExit: processExit(exit, end) }),
        elapsed: durationFromMs(Math.max(0, Math.round(Date.now() - this.#record.createTimeMs))),
        conversationId: this.#record.conversationId,
      },
    );
    const state = finalState(outcome);
    this.#record.finish(state, result);
    this.#logger.info({ state: State[state], turns: this.#turnCount, changes: changes.length }, "session finished");
  }

  #timeOut(): void {
    // No turn can end in time any more; the one before has.
    if (this.#record.state === State.IDLE) this.#idleOver.abort();
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
    kind: "FAILED_PRECONDITION",
    help: "Continue it with a new session.",
  });
}
