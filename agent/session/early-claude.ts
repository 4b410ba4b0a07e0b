import { randomUUID } from "node:crypto";
import type { Conversation } from "../claude/conversation.ts";
import type { Gate } from "../claude/gate.ts";
import type { Opening } from "../claude/opening.ts";
import type { Logger } from "../log.ts";
import type { Assignment } from "./assignment.ts";
import type { SessionPlace } from "./session-place.ts";

/** Claude's place, and how it is started. */
export interface EarlyClaudeOptions {
  place: Pick<SessionPlace, "makeGate">;
  log: Logger;
  /** Signal that ends it. */
  signal: AbortSignal;
  /** Starts Claude at the gate. */
  start(options: LaunchOptions): Promise<Conversation>;
}

type EarlySession = Pick<Assignment, "spec" | "userFiles">;

/** One start of Claude. */
export interface LaunchOptions {
  opening: Opening;
  cwd: string;
  /** Resolves when its files are there. Undefined: they are. */
  held?: Promise<unknown>;
  signal: AbortSignal;
}

/** Nothing that Claude reads before the gate may come from the session's files, nor from what ran on them. */
function mayStartEarly({ spec, userFiles }: EarlySession): boolean {
  const { setup, environment, loadProjectSettings, previousSessionId, afterSessionId, repository } = spec;
  return (
    userFiles.length === 0 &&
    (setup?.command ?? "") === "" &&
    Object.keys(environment).length === 0 &&
    !loadProjectSettings &&
    previousSessionId === "" &&
    afterSessionId === "" &&
    (repository?.snapshot?.subdirectory ?? "") === ""
  );
}

/**
 * Claude that is started while its repository is fetched, and waits at a gate before it reads anything of it. Whoever starts it
 * disposes of it; once it was taken, it is the taker's.
 */
export class EarlyClaude implements AsyncDisposable {
  readonly #log: Logger;
  readonly #over = new AbortController();
  readonly #ready = Promise.withResolvers<undefined>();
  readonly #running: Promise<Conversation | undefined>;
  #gate: Gate | undefined;
  #started = false;
  #taken = false;

  private constructor(options: EarlyClaudeOptions) {
    this.#log = options.log;
    this.#running = this.#run(options).catch((error: unknown) => {
      if (!this.#over.signal.aborted) this.#log.warn({ err: error }, "Claude could not be started early");
      return undefined;
    });
  }

  /** Starts it. If that fails, there is just none to take. Undefined: a session of this kind has none. */
  static start(session: EarlySession, options: EarlyClaudeOptions): EarlyClaude | undefined {
    return mayStartEarly(session) ? new EarlyClaude(options) : undefined;
  }

  /** Whether it has been started. */
  get started(): boolean {
    return this.#started;
  }

  /** Lets Claude see its files and resolves once it answers. Undefined: there is none, it has to be started now. */
  async take(): Promise<Conversation | undefined> {
    this.#ready.resolve(undefined);
    if (this.#gate !== undefined) {
      // One that answers before it has come to the gate has looked around in an empty directory.
      const answered = this.#running.then(() => false);
      if (await Promise.race([this.#gate.reached, answered])) {
        this.#gate.open();
        const conversation = await this.#running;
        this.#taken = conversation !== undefined;
        if (this.#taken) {
          this.#log.info({}, "Claude had been started before its files were there");
          return conversation;
        }
      }
    }
    await this[Symbol.asyncDispose]();
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(new Error("no early Claude is needed any more"));
    const conversation = await this.#running;
    if (!this.#taken) await conversation?.kill();
    await this.#gate?.[Symbol.asyncDispose]();
  }

  async #run(options: EarlyClaudeOptions): Promise<Conversation | undefined> {
    const signal = AbortSignal.any([options.signal, this.#over.signal]);
    const gate = (this.#gate = await options.place.makeGate({ signal }));
    if (gate === undefined || signal.aborted) return undefined;
    this.#started = true;
    const opening = { conversationId: randomUUID() };
    return await options.start({ opening, cwd: gate.cwd, held: this.#ready.promise, signal });
  }
}
