import { setImmediate as nextTurn } from "node:timers/promises";
import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  afterRunning,
  AppError,
  type ArtifactKind,
  DEFAULT_TIMEOUT_MS,
  type EventBody,
  type EventLog,
  Phase,
  type Session,
  Session_State as State,
} from "../../proto/index.ts";
import type { Opening } from "../claude/opening.ts";
import type { ClaudeExit } from "../claude/claude-process.ts";
import type { Conversation, ConversationListener } from "../claude/conversation.ts";
import { authenticationFailure, isRefusedCredential } from "../claude/turn-failure.ts";
import type { Assignment, SessionSurroundings } from "./assignment.ts";
import { Countdown } from "./countdown.ts";
import { Decisions } from "./decisions.ts";
import { MessageQueue } from "./message-queue.ts";
import { openConversation } from "./open-conversation.ts";
import { EarlyClaude } from "./early-claude.ts";
import { Ending } from "./ending.ts";
import { type EndReason, finalState } from "./outcome.ts";
import { SessionCommands } from "./session-commands.ts";
import { SessionFiles } from "./session-files.ts";
import { SessionRecord } from "./session-record.ts";
import { resultOf, type SessionFacts } from "./session-result.ts";
import { messageQueued, userFilesCopied } from "./turn-events.ts";
import { Turns } from "./turns.ts";
import { within } from "../wait.ts";

interface StartOptions {
  opening: Opening;
  cwd: string;
  signal: AbortSignal;
}

/**
 * Session in the agent: a workspace, a Claude in it, and the log of what happens. It ends with a result, whatever
 * happens.
 */
export class AgentSession {
  readonly id: string;
  /** Whether git goes by its own listener for some URLs. */
  readonly usesGitListener: boolean;
  /** Whether it starts with a snapshot of a repository. */
  readonly usesSnapshot: boolean;
  /** Decisions that Claude waits for. */
  readonly decisions: Decisions;
  readonly #options: Omit<Assignment, "restore"> & SessionSurroundings;
  readonly #finished = Promise.withResolvers<undefined>();
  /** Resolved when Claude has asked its model. */
  readonly #asked = Promise.withResolvers<undefined>();
  /** Undefined once it has been used: it may be large. */
  #restore: Assignment["restore"];
  readonly #logger: SessionSurroundings["log"];
  readonly #record: SessionRecord;
  readonly #messages: MessageQueue;
  readonly #turns: Turns;
  readonly #ending = new Ending();
  readonly #files: SessionFiles;
  readonly #commands: SessionCommands;
  readonly #clock: Countdown;
  #conversation: Conversation | undefined;
  #copied: Promise<void> | undefined;

  private constructor({ restore, ...assignment }: Assignment, surroundings: SessionSurroundings) {
    const options = { ...assignment, ...surroundings };
    const { id, spec, log } = options;
    this.id = id;
    this.usesGitListener = options.gitPrefixes.length > 0;
    this.usesSnapshot = spec.repository?.snapshot !== undefined;
    this.#options = options;
    this.#restore = restore;
    this.#logger = log.child({ sessionId: id });
    this.#record = new SessionRecord(id, spec);
    this.#messages = new MessageQueue({ maxCount: spec.maxTurnCount });
    this.#files = new SessionFiles({
      ...surroundings,
      log: this.#logger,
      emit: (event) => this.#emit(event),
      roomy: () => this.#roomy(),
    });
    const timeoutMs = spec.timeout === undefined ? DEFAULT_TIMEOUT_MS : durationMs(spec.timeout);
    this.#clock = new Countdown(timeoutMs, () => this.#timeOut(timeoutMs));
    this.#commands = new SessionCommands({
      ...options,
      files: this.#files,
      emit: (event) => this.#emit(event),
      enterPhase: (phase) => this.#record.enterPhase(phase),
    });
    this.#turns = new Turns({
      spec,
      messages: this.#messages,
      emit: (event) => this.#emit(event),
      enterState: (state) => this.#record.enterState(state),
      endReason: () => this.#ending.reason,
      changesTold: (signal) => this.#files.tell(signal),
      onHopeless: (failure) => this.#end({ kind: "failed", failure }),
    });
    this.decisions = new Decisions({
      timeoutMs: spec.decisionTimeout === undefined ? 0 : durationMs(spec.decisionTimeout),
      emit: (event) => this.#emit(event),
      tell: (requestId, verdict) => {
        if (verdict.allowed) this.#conversation?.permit(requestId, verdict.input, verdict.updates);
        else this.#conversation?.deny(requestId, verdict.message);
      },
      onWaiting: (waiting) => {
        if (!this.#turns.running || this.#ending.settled) return;
        // However long somebody thinks about it, Claude's own time is not over.
        if (waiting) this.#clock.pause();
        else this.#clock.go();
        this.#record.enterState(waiting ? State.WAITING : State.RUNNING);
      },
    });
  }

  /** Starts the session that the agent is given. Its first message is its task. */
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

  /** Log of the session's events. */
  get log(): EventLog {
    return this.#record.log;
  }

  /** Whether the log has its last event. */
  get over(): boolean {
    return this.log.ended;
  }

  /** Returns the session as its events tell it, long texts cut. */
  snapshot(): Session {
    return this.#record.snapshot();
  }

  /** Returns the session with its texts and lists whole. */
  whole(): Session {
    return this.#record.whole();
  }

  /** Queues a message for Claude. Throws what MessageQueue.add throws. */
  sendMessage(text: string, messageId: string): void {
    if (!this.#messages.add(text, messageId)) return;
    const waitingCount = this.#messages.length;
    if (waitingCount > 1 || this.#record.state !== State.IDLE) this.#emit(messageQueued(messageId, waitingCount));
  }

  /** Interrupts the running turn. Without one it does nothing. */
  interrupt(): void {
    if (this.#turns.interrupt()) this.#conversation?.interrupt();
  }

  /** Ends the session. Its changes are still collected. */
  stop(reason: string): void {
    this.#end({ kind: "stopped", reason });
  }

  /** Ends the session with the agent: see Ending.shutDown. Resolves when the result is there. */
  async shutDown({ signal }: { signal: AbortSignal }): Promise<void> {
    this.#messages.close();
    const claudeMs = this.#options.timeouts.shutdownClaudeMs;
    await this.#ending.shutDown({ claudeMs, finished: this.finished, signal });
  }

  /**
   * Returns an artifact: transcript and commits once the session is over, the patch as it is now or was left. Throws
   * SESSION_NOT_FINISHED, TRANSCRIPT_MISSING, COMMITS_MISSING, and what collecting throws.
   */
  readArtifact(kind: ArtifactKind, { signal }: { signal: AbortSignal }): Promise<Buffer> {
    return this.#files.readArtifact(kind, { over: this.over, signal });
  }

  /** Notes that Claude has written to the model's API. */
  noticeModelRequest(): void {
    // What it asks at its start is not about its task.
    if (this.#record.phase !== Phase.FIRST_REQUEST) return;
    this.#record.enterPhase(Phase.WORK);
    this.#asked.resolve(undefined);
  }

  async #run(): Promise<void> {
    this.#clock.go();
    // Whoever starts it has its answer before the first processes are started, which takes a while: it is written a turn later.
    for (let turns = 0; turns < 2; turns++) await nextTurn();
    let error: unknown;
    try {
      await this.#work(this.#ending.signal);
    } catch (cause) {
      if (!this.#ending.signal.aborted) error = cause;
    }
    this.#clock.pause();
    const end = this.#ending.reason;
    if (error !== undefined && !(error instanceof AppError)) this.#logger.error({ err: error }, "the session failed");
    this.#messages.close();
    this.#ending.settle();
    const patience = afterRunning(this.#options.timeouts.collectMs, () => this.#ending.giveUpRoom());
    this.#record.enterState(State.STOPPING);
    this.#record.enterPhase(Phase.COLLECT);
    let exit: ClaudeExit | undefined;
    const fullDirectories = await this.#options.place.fullDirectories();
    try {
      exit = await this.#endClaude();
      const { conversationId } = this.#record;
      await this.#files.collect({ conversationId, signal: this.#ending.hurry });
    } catch (cause) {
      // Whatever it is, the session gets its end.
      this.#logger.error({ err: cause }, "ending the session failed");
      error ??= cause;
    }
    patience();
    // Its files are not looked at any more: what it writes is nobody's.
    if (error === undefined && this.#turns.count > 0) await this.#commands.runCheck(this.#ending.abandoned);
    this.#finish({ end, error, exit, fullDirectories });
  }

  /** Prepares, then runs one turn after the other until there is nothing more to do. */
  async #work(signal: AbortSignal): Promise<void> {
    const { place, spec, gitPrefixes, userFiles } = this.#options;
    this.#record.enterPhase(Phase.WORKSPACE);
    const restore = this.#restore;
    this.#restore = undefined;
    await using early = EarlyClaude.start(this.#options, {
      ...this.#options,
      listener: this.#listener(),
      log: this.#logger,
      signal,
      copyUserFiles: () => this.#copyUserFiles(signal),
    });
    const { repository } = spec;
    const cwd = await this.#files.open({ repository, gitPrefixes, patch: restore?.patch, claude: early, signal });
    this.#clock.pause();
    await this.#commands.setUp({ cwd, signal });
    this.#clock.go();
    // What is restored is told before what Claude makes of it.
    if (restore !== undefined) this.#files.watch();
    this.#record.enterPhase(Phase.CLAUDE);
    if (early?.prepared !== true) await this.#copyUserFiles(signal);
    if (userFiles.length > 0) this.#emit(userFilesCopied(userFiles));
    const conversation = await openConversation({
      restore,
      spec,
      place,
      cwd,
      signal,
      start: async (opening) =>
        (await early?.take({ opening, cwd })) ?? (await this.#startClaude({ opening, cwd, signal })),
      onRestored: (value) => this.#emit({ case: "sessionRestored", value }),
    });
    this.#conversation = conversation;
    // Before the turn ends with it.
    void conversation.exited.then(() => this.decisions.close());
    this.#record.enterPhase(Phase.FIRST_REQUEST);
    if (restore === undefined) void this.#watchOnceAsked(signal);
    await this.#turns.takeAll(conversation, signal);
  }

  /** Looks for changes once Claude waits for its model: before, that would be in Claude's way. */
  async #watchOnceAsked(signal: AbortSignal): Promise<void> {
    await within(this.#asked.promise, this.#options.timeouts.askedMs, signal);
    this.#files.watch();
  }

  /** Copies them once. */
  #copyUserFiles(signal: AbortSignal): Promise<void> {
    const { place, userFiles } = this.#options;
    return (this.#copied ??= place.copyUserFiles(userFiles, { signal }));
  }

  async #startClaude(options: StartOptions): Promise<Conversation> {
    return await this.#launch(options).catch((error: unknown) => {
      // It never began with anything: on a busy machine another one may fare better.
      if (options.signal.aborted || !(error instanceof AppError) || !error.retryable) throw error;
      this.#logger.warn({ err: error }, "Claude is started again");
      return this.#launch(options);
    });
  }

  async #launch({ opening, cwd, signal }: StartOptions): Promise<Conversation> {
    const { place } = this.#options;
    await this.#copyUserFiles(signal);
    await place.writeInstructions(this.#options, { cwd, signal });
    const start = { ...this.#options, ...this.#listener(), opening, cwd, signal };
    return await place.startClaude({ ...start, log: this.#logger });
  }

  #listener(): ConversationListener {
    return {
      emit: (event) => this.#emit(event),
      roomy: () => this.#roomy(),
      onTurnEnd: (result) => this.#turns.finish({ result }),
      onResult: (result) => this.#turns.countUsage(result),
      onRetry: ({ httpStatus }) => {
        if (isRefusedCredential(httpStatus)) this.#end({ kind: "failed", failure: authenticationFailure(httpStatus) });
      },
      onPermissionRequest: (request) => this.decisions.ask(request),
      onRequestCanceled: (requestId) => this.decisions.withdraw(requestId),
    };
  }

  async #endClaude(): Promise<ClaudeExit | undefined> {
    const conversation = this.#conversation;
    if (conversation === undefined) return undefined;
    const exit = await conversation.end({ signal: this.#ending.hurryClaude });
    this.#turns.finish({ exit });
    return exit;
  }

  #finish(facts: Pick<SessionFacts, "end" | "error" | "exit" | "fullDirectories">): void {
    const result = resultOf({
      ...facts,
      files: this.#files,
      turns: this.#turns,
      commands: this.#commands,
      elapsedMs: Math.max(0, Math.round(Date.now() - this.#record.createTimeMs)),
      conversationId: this.#record.conversationId,
    });
    const state = finalState(result.outcome);
    this.#record.finish(state, result);
    const counts = { turns: this.#turns.count, changes: this.#files.collected.changes.length };
    this.#logger.info({ state: State[state], ...counts }, "session finished");
  }

  #timeOut(timeoutMs: number): void {
    // No turn can end in time any more; the one before has.
    if (this.#turns.count > 0 && !this.#turns.running) this.#turns.endIdling();
    else this.#end({ kind: "timedOut", timeoutMs });
  }

  #end(reason: EndReason): void {
    this.#messages.close();
    this.#ending.begin(reason);
  }

  #emit(event: EventBody): void {
    this.#record.emit(event);
    this.#files.notice(event);
  }

  #roomy(): Promise<boolean> {
    return this.#record.roomy(this.#ending.noMoreRoom);
  }
}
