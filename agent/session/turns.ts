import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  type EventBody,
  type Failure,
  Session_State as State,
  type SessionSpec,
  UsageUpdatedSchema,
} from "../../proto/index.ts";
import type { ClaudeResult, TurnEnd } from "../claude/claude-result.ts";
import type { ClaudeExit } from "../claude/claude-process.ts";
import type { Conversation } from "../claude/conversation.ts";
import { turnFailure } from "../claude/turn-failure.ts";
import { UsageMeter } from "../claude/usage-meter.ts";
import type { MessageQueue, QueuedMessage } from "./message-queue.ts";
import { type EndReason, exitFailure, type TurnOutcome, turnOutcomeOfEnd } from "./outcome.ts";
import { answerParts, turnFinished, turnStarted } from "./turn-events.ts";

/** Messages for the turns, and where events and changes of state go. */
export interface TurnsOptions {
  spec: Pick<SessionSpec, "idleTimeout" | "maxTurnCount">;
  messages: MessageQueue;
  emit(event: EventBody): void;
  enterState(state: State): void;
  /** Returns the reason for which the session is being ended. Undefined: it is not. */
  endReason(): EndReason | undefined;
  /** Resolves when the last turn's changes have been told, or when the signal is aborted. Never rejects. */
  changesTold(signal: AbortSignal): Promise<void>;
  /** Called when a turn failed so that no other turn can succeed. */
  onHopeless(failure: Failure): void;
}

interface RunningTurn {
  readonly number: number;
  readonly startMs: number;
  interrupted: boolean;
  readonly over: () => void;
}

/** Turns of a session: Claude gets one message after the other. */
export class Turns {
  /** Usage of all turns so far. */
  readonly usage = new UsageMeter();
  readonly #options: TurnsOptions;
  #count = 0;
  #turn: RunningTurn | undefined;
  #last: TurnOutcome | undefined;
  #finalText = "";
  #finalTextTurn = 0;
  /** Aborted when the session has waited long enough for another message. */
  readonly #idleOver = new AbortController();

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Number of turns that have begun. */
  get count(): number {
    return this.#count;
  }

  /** Whether a turn is running. */
  get running(): boolean {
    return this.#turn !== undefined;
  }

  /** Outcome of the last turn that ended. Undefined: none has. */
  get last(): TurnOutcome | undefined {
    return this.#last;
  }

  /** Last answer. Empty: there is none yet. */
  get finalText(): string {
    return this.#finalText;
  }

  /** Number of the turn with the last answer. 0: there is none. */
  get finalTextTurn(): number {
    return this.#finalTextTurn;
  }

  /** Marks the running turn as interrupted, however it ends. Returns false if none is running. */
  interrupt(): boolean {
    if (this.#turn === undefined) return false;
    this.#turn.interrupted = true;
    return true;
  }

  /** Ends the wait for another message. */
  endIdling(): void {
    this.#idleOver.abort();
  }

  /** Takes turns until no message comes any more, Claude is gone, or the signal is aborted. */
  async takeAll(conversation: Conversation, signal: AbortSignal): Promise<void> {
    const gone = new AbortController();
    const over = AbortSignal.any([signal, gone.signal]);
    void conversation.exited.then(() => gone.abort());
    while (!over.aborted) {
      const message = this.#options.messages.take() ?? (await this.#nextMessage(over));
      if (message === undefined) return;
      await this.#take(conversation, message, over);
      const failure = this.#last?.failure;
      if (failure?.reason === "AUTHENTICATION_FAILED") this.#options.onHopeless(failure);
    }
    const { exit } = conversation;
    if (exit !== undefined && !signal.aborted && this.#options.messages.take() !== undefined) {
      this.#last = { failure: exitFailure(exit), interrupted: false };
    }
  }

  /** Ends the running turn, by its result or by Claude's exit. Without a running turn it does nothing. */
  finish(how: { result?: TurnEnd; exit?: ClaudeExit }): void {
    const turn = this.#turn;
    if (turn === undefined) return;
    this.#turn = undefined;
    const outcome = this.#outcome(turn, how);
    this.#last = outcome;
    // A turn that did not come to its end says nothing worth keeping over the answer before, but for a cut answer.
    const answered = how.result?.isError === false || outcome.failure?.reason === "ANSWER_CUT";
    const said = answered ? (how.result?.answer ?? "") : "";
    if (said !== "") [this.#finalText, this.#finalTextTurn] = [said, turn.number];
    const elapsedMs = performance.now() - turn.startMs;
    for (const part of answerParts(turn.number, said)) this.#options.emit(part);
    this.#options.emit(turnFinished(turn.number, { outcome, said, elapsedMs, usage: this.usage.usage() }));
    turn.over();
  }

  /** Adds the usage that a result tells, even of one between two turns. */
  countUsage(result: ClaudeResult): void {
    this.usage.add(result);
    const value = create(UsageUpdatedSchema, { usage: this.usage.usage() });
    this.#options.emit({ case: "usageUpdated", value });
  }

  /** Waits as IDLE for a message, as long as the session allows. */
  async #nextMessage(over: AbortSignal): Promise<QueuedMessage | undefined> {
    const { messages, spec, enterState, changesTold } = this.#options;
    const idleMs = spec.idleTimeout === undefined ? 0 : durationMs(spec.idleTimeout);
    if (idleMs === 0 || this.#idleOver.signal.aborted || this.#count === spec.maxTurnCount) return undefined;
    // Whoever waits for the state looks at the changes next.
    const early = new AbortController();
    const soon = AbortSignal.any([over, this.#idleOver.signal, early.signal]);
    await Promise.race([changesTold(soon), messages.filled(soon)]);
    early.abort();
    if (over.aborted) return undefined;
    if (this.#idleOver.signal.aborted || messages.length > 0) return messages.take();
    enterState(State.IDLE);
    const timer = setTimeout(() => this.#idleOver.abort(), idleMs);
    await messages.filled(AbortSignal.any([over, this.#idleOver.signal]));
    clearTimeout(timer);
    return over.aborted ? undefined : messages.take();
  }

  /** Resolves when the turn is over, or when the session is to end; then the turn ends with Claude. */
  async #take(conversation: Conversation, message: QueuedMessage, over: AbortSignal): Promise<void> {
    const { emit, enterState, endReason } = this.#options;
    const number = ++this.#count;
    emit(turnStarted(number, message));
    enterState(State.RUNNING);
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
    if (endReason() === undefined && conversation.exit !== undefined) this.finish({ exit: conversation.exit });
  }

  #outcome(turn: RunningTurn, { result, exit }: { result?: TurnEnd; exit?: ClaudeExit }): TurnOutcome {
    const end = this.#options.endReason();
    // A turn that ended well in the last moment ended well.
    if (result?.isError === false && !turn.interrupted) return { failure: undefined, interrupted: false };
    if (end !== undefined) return turnOutcomeOfEnd(end);
    if (turn.interrupted) return { failure: undefined, interrupted: true };
    const failure = result === undefined ? exit && exitFailure(exit) : turnFailure(result);
    return { failure, interrupted: false };
  }
}
