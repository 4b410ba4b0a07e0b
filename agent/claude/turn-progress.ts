import { Notifier } from "../../proto/index.ts";
import type { TurnEnd } from "./claude-result.ts";

export interface TurnProgressOptions {
  /** How long Claude may say nothing before it is believed that nothing follows. */
  settleMs: number;
  /** The turn is over; `result` is the last one. */
  onEnd(result: TurnEnd): void;
}

/**
 * Says when a turn is over. A result alone does not: while commands run in the background Claude
 * will be woken by their ends, work on, and give another result.
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

  get running(): boolean {
    return this.#running;
  }

  begin(): void {
    this.#running = true;
    this.#interrupted = false;
    this.#answered = false;
    this.#last = undefined;
  }

  /** The next result ends the turn. Returns the background commands that are to be ended as well. */
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

  activity(): void {
    clearTimeout(this.#settling);
  }

  backgroundTasks(ids: readonly string[]): void {
    this.#tasks = ids;
    if (ids.length === 0 && this.#last !== undefined) this.#settle();
  }

  result(result: TurnEnd): void {
    clearTimeout(this.#settling);
    if (!this.#running) return;
    this.#last = result;
    if (!result.unprompted) this.#answered = true;
    if (this.#answered && (this.#tasks.length === 0 || result.isError || this.#interrupted)) this.#end();
    // Woken up by an earlier command, and perhaps the message was dealt with on the way.
    else if (!this.#answered && this.#tasks.length === 0) this.#settle();
  }

  /** The process is gone: nothing will end the turn any more. */
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
