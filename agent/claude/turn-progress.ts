import { Notifier } from "../../proto/index.ts";
import type { TurnEnd } from "./claude-result.ts";

/** Wait of a turn for more, and what its end calls. */
export interface TurnProgressOptions {
  /** Silence of Claude's after which no more is expected (ms). */
  settleMs: number;
  /** Called when the turn is over, with its last result. */
  onEnd(result: TurnEnd): void;
}

/**
 * Progress of a turn to its end. A result alone does not end it: while commands run in the background, Claude will be
 * woken by their ends, work on, and give another result.
 */
export class TurnProgress {
  readonly #options: TurnProgressOptions;
  #running = false;
  #interrupted = false;
  /** The result of the message itself has come, not only one of a wake-up before. */
  #answered = false;
  #last: TurnEnd | undefined;
  #tasks: readonly string[] = [];
  #settling: NodeJS.Timeout | undefined;
  readonly #over = new Notifier();

  constructor(options: TurnProgressOptions) {
    this.#options = options;
  }

  /** Whether a turn has begun and not ended. */
  get running(): boolean {
    return this.#running;
  }

  /** Begins a turn: a message has been given to Claude. */
  begin(): void {
    this.#running = true;
    this.#interrupted = false;
    this.#answered = false;
    this.#last = undefined;
  }

  /** Makes the next result end the turn. Returns the ids of the background commands that have to be stopped too. */
  interrupt(): readonly string[] {
    this.#interrupted = true;
    // Claude itself is idle already and will not give another result.
    if (this.#answered && this.#last !== undefined) this.#settle();
    return this.#tasks;
  }

  /** Resolves when no turn is running. */
  async ended(): Promise<void> {
    if (this.#running) await this.#over.next();
  }

  /** Notes that Claude does something: it is not settled yet. */
  activity(): void {
    clearTimeout(this.#settling);
  }

  /** Notes which background commands are running. */
  backgroundTasks(ids: readonly string[]): void {
    this.#tasks = ids;
    if (ids.length === 0 && this.#last !== undefined) this.#settle();
  }

  /** Notes a result, which may end the turn. */
  result(result: TurnEnd): void {
    clearTimeout(this.#settling);
    if (!this.#running) return;
    this.#last = result;
    if (!result.unprompted) this.#answered = true;
    if (this.#answered && (this.#tasks.length === 0 || result.isError || this.#interrupted)) this.#end();
    // Woken up by an earlier command, and perhaps the message was dealt with on the way.
    else if (!this.#answered && this.#tasks.length === 0) this.#settle();
  }

  /** Ends the turn without a result: the process is gone. */
  close(): void {
    clearTimeout(this.#settling);
    this.#running = false;
    this.#over.notify();
  }

  #settle(): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#end(), this.#options.settleMs);
  }

  #end(): void {
    const result = this.#last;
    if (!this.#running || result === undefined) return;
    this.#running = false;
    this.#options.onEnd(result);
    this.#over.notify();
  }
}
