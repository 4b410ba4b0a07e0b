import { randomUUID } from "node:crypto";
import { mayStartEarly } from "../../proto/index.ts";
import type { Conversation, ConversationListener } from "../claude/conversation.ts";
import { type Opening, openingNote } from "../claude/opening.ts";
import type { Spare } from "../claude/spare.ts";
import type { Logger } from "../log.ts";
import type { Assignment } from "./assignment.ts";
import type { PreparedClaude } from "./prepared-claude.ts";
import type { SessionPlace } from "./session-place.ts";

type EarlySession = Pick<Assignment, "spec" | "userFiles" | "gitPrefixes">;

/** Claude's place, and what it is for. */
export interface EarlyClaudeOptions {
  place: Pick<SessionPlace, "canWait" | "directoryOf" | "startOf" | "startSpare" | "writeInstructions">;
  /** Claude that was started before there was a session. Undefined: none was. */
  prepared: PreparedClaude | undefined;
  listener: ConversationListener;
  log: Logger;
  /** Signal that ends it. */
  signal: AbortSignal;
  /** Resolves when the user's own files are where Claude reads them at its start. */
  copyUserFiles(): Promise<void>;
}

/**
 * Claude that is started while its repository is fetched, or was before, and waits for it. Whoever starts it disposes of it;
 * once it was taken, it is the taker's.
 */
export class EarlyClaude implements AsyncDisposable {
  readonly #session: EarlySession;
  readonly #options: EarlyClaudeOptions;
  readonly #over = new AbortController();
  /** Place of its work, if all goes as it should. */
  readonly #cwd: string;
  readonly #running: Promise<Spare | undefined>;
  readonly #decided = Promise.withResolvers<undefined>();
  #started = false;
  #prepared = false;

  private constructor(session: EarlySession, options: EarlyClaudeOptions) {
    this.#session = session;
    this.#options = options;
    this.#cwd = options.place.directoryOf(session.spec.repository);
    this.#running = this.#run().catch((error: unknown) => {
      if (!this.#over.signal.aborted) options.log.warn({ err: error }, "Claude could not be started early");
      return undefined;
    });
    void this.#running.then(() => this.#decided.resolve(undefined));
  }

  /** Starts it. If that fails, there is just none to take. Undefined: a session of this kind has none. */
  static start(session: EarlySession, options: EarlyClaudeOptions): EarlyClaude | undefined {
    if (mayStartEarly(session.spec)) return new EarlyClaude(session, options);
    options.prepared?.decline("the session's files come first");
    return undefined;
  }

  /** Resolves once it is known whether it is started. Never rejects. */
  get decided(): Promise<unknown> {
    return this.#decided.promise;
  }

  /** Whether it has been started, or is about to be. */
  get started(): boolean {
    return this.#started;
  }

  /** Whether that was before there was a session. */
  get prepared(): boolean {
    return this.#prepared;
  }

  /** Shows it its files and resolves once it is at work. Undefined: there is none, it has to be started now. */
  async take({ opening, cwd }: { opening: Opening; cwd: string }): Promise<Conversation | undefined> {
    const { log, signal } = this.#options;
    const spare = await this.#running;
    if (spare === undefined) return undefined;
    const { permissionMode, model } = this.#session.spec;
    const firstNote = openingNote(opening);
    const later = () => ({ permissionMode, model: model === "" ? undefined : model, environment: this.#variables() });
    const started = this.#prepared ? later() : {};
    const taken = cwd === this.#cwd ? await spare.claim({ cwd, firstNote, ...started, signal }) : { refusal: cwd };
    if ("refusal" in taken) {
      log.warn({ refusal: taken.refusal, prepared: this.#prepared }, "the Claude that waited is of no use");
      await spare[Symbol.asyncDispose]();
      return undefined;
    }
    log.info({ prepared: this.#prepared }, "Claude had been started before its files were there");
    return taken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(new Error("no early Claude is needed any more"));
    const spare = await this.#running;
    await spare?.[Symbol.asyncDispose]();
  }

  async #run(): Promise<Spare | undefined> {
    const { place, listener } = this.#options;
    const signal = AbortSignal.any([this.#options.signal, this.#over.signal]);
    const told = place.writeInstructions(this.#session, { cwd: this.#cwd, signal });
    told.catch(() => {});
    const spare = (await this.#takePrepared()) ?? (await this.#startSpare(signal));
    spare?.tell(listener);
    try {
      await told;
    } catch (error) {
      await spare?.[Symbol.asyncDispose]();
      throw error;
    }
    return spare;
  }

  /** Variables that a Claude does not have which was prepared without a session, with the one that its settings keep in place. */
  #variables(): Record<string, string> | undefined {
    const { environment } = this.#options.place.startOf(this.#session, { conversationId: "" });
    const { ANTHROPIC_BASE_URL: endpoint, TRACEPARENT: traceParent } = environment;
    return endpoint && traceParent ? { ANTHROPIC_BASE_URL: endpoint, TRACEPARENT: traceParent } : undefined;
  }

  async #takePrepared(): Promise<Spare | undefined> {
    const { prepared } = this.#options;
    // One that is not ready yet counts: a session may come before it is.
    if (prepared?.fits(this.#session) !== true) return undefined;
    this.#started = this.#prepared = true;
    const spare = await prepared.take();
    if (spare === undefined) this.#started = this.#prepared = false;
    return spare;
  }

  async #startSpare(signal: AbortSignal): Promise<Spare | undefined> {
    const { place, listener, log, copyUserFiles } = this.#options;
    if (!(await place.canWait({ signal }))) return undefined;
    // It is on its way: small files are copied in the time that the smallest repository takes.
    this.#started = true;
    this.#decided.resolve(undefined);
    try {
      await copyUserFiles();
      signal.throwIfAborted();
      const opening = { conversationId: randomUUID() };
      return await place.startSpare({ ...this.#session, opening, listener, log, signal });
    } catch (error) {
      this.#started = false;
      throw error;
    }
  }
}
