import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { AppError, type EarlySpec, mayStartEarly } from "../../proto/index.ts";
import { INSTRUCTIONS } from "../claude/user-files.ts";
import { NOBODY, type Spare } from "../claude/spare.ts";
import type { Logger } from "../log.ts";
import type { ClaudeShape, ClaudeStart, SessionPlace } from "./session-place.ts";

const ENDED = "it has ended";

/** What a Claude is prepared for. */
export type PreparedShape = ClaudeShape & { spec: EarlySpec };

/** Place of a prepared Claude, and its log. */
export interface PreparedClaudeOptions {
  place: Pick<SessionPlace, "canWait" | "copyUserFiles" | "prepareWorkspace" | "startOf" | "startSpare">;
  log: Logger;
}

/** Claude that is started before its session is known. Whoever starts it disposes of it; once it was taken, it is the taker's. */
export class PreparedClaude implements AsyncDisposable {
  /** Resolves once it is ready. Rejects if it could not be started, or was declined before. */
  readonly ready: Promise<unknown>;
  readonly #shape: PreparedShape;
  readonly #options: PreparedClaudeOptions;
  readonly #conversationId = randomUUID();
  readonly #over = new AbortController();
  #spare: Spare | undefined;
  #failed = false;
  #taken = false;

  private constructor(shape: PreparedShape, options: PreparedClaudeOptions) {
    // A model can only be added later, and not be taken away.
    this.#shape = { ...shape, spec: { ...shape.spec, model: "" } };
    this.#options = options;
    this.ready = this.#start();
    this.ready.catch(() => (this.#failed = true));
  }

  /** Starts it. Its `ready` rejects with CLAUDE_NOT_PREPARABLE, and what copying files and starting Claude throw. */
  static start(shape: PreparedShape, options: PreparedClaudeOptions): PreparedClaude {
    return new PreparedClaude(shape, options);
  }

  /**
   * Returns whether it is what a session of this shape would start, and has not ended: then it is the session's to take. Otherwise
   * it is ended, and the log says why.
   */
  fits(shape: ClaudeShape): boolean {
    const reason = this.#differenceTo(shape) ?? (this.#ended() ? ENDED : undefined);
    if (reason !== undefined) this.decline(reason);
    return reason === undefined;
  }

  /** Returns it once it is ready. Undefined: it has ended. */
  async take(): Promise<Spare | undefined> {
    await this.ready.catch(() => {});
    if (this.#ended()) return this.decline(ENDED);
    this.#taken = true;
    return this.#spare;
  }

  /** Ends it, since a session cannot use it, for this reason. */
  decline(reason: string): undefined {
    this.#options.log.info({ reason }, "the prepared Claude is not used");
    this.#over.abort(new Error(reason));
    void this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(new Error("no prepared Claude is needed any more"));
    await this.ready.catch(() => {});
    if (!this.#taken) await this.#spare?.[Symbol.asyncDispose]();
  }

  #ended(): boolean {
    return this.#failed || this.#spare?.runs === false;
  }

  async #start(): Promise<void> {
    const { place, log } = this.#options;
    const { signal } = this.#over;
    if (!mayStartEarly(this.#shape.spec) || !(await place.canWait({ signal }))) {
      signal.throwIfAborted();
      throw new AppError(
        "CLAUDE_NOT_PREPARABLE",
        "Claude cannot be started before the files of such a session are there.",
        {
          help: "Prepare no session with setup, load_project_settings or previous_session_id, and use a Claude Code that can wait.",
        },
      );
    }
    const workspace = place.prepareWorkspace({ signal });
    await place.copyUserFiles(this.#shape.userFiles, { signal });
    const opening = { conversationId: this.#conversationId };
    this.#spare = await place.startSpare({ ...this.#shape, opening, listener: NOBODY, log, signal });
    await workspace;
  }

  /** Returns what a Claude for the other shape would be started with that cannot be changed any more. Undefined: nothing. */
  #differenceTo(shape: ClaudeShape): string | undefined {
    const [mine, other] = [this.#shape, shape].map((shape) => this.#startOf(shape));
    if (!isDeepStrictEqual(mine!.environment, other!.environment)) return "it has other variables";
    if (!isDeepStrictEqual(mine!.args, other!.args)) return "it has other arguments";
    if (!isDeepStrictEqual(filesOf(this.#shape), filesOf(shape))) return "it has other files of the user's";
    return undefined;
  }

  #startOf({ spec, ...shape }: ClaudeShape): ClaudeStart {
    const start = this.#options.place.startOf(
      // These can be told it later.
      { ...shape, spec: { ...spec, model: "", traceParent: "" } },
      { conversationId: this.#conversationId },
    );
    // No other mode changes to this one later.
    const mode = spec.permissionMode === "bypassPermissions" ? spec.permissionMode : "any";
    const at = start.args.indexOf("--permission-mode");
    return { ...start, args: start.args.with(at + 1, mode) };
  }
}

/** Files that Claude reads at its start, by path: its instructions it reads with its task. */
function filesOf({ userFiles }: ClaudeShape): Map<string, unknown> {
  const others = userFiles.filter(({ path }) => path !== INSTRUCTIONS);
  return new Map(others.map(({ path, data, executable }) => [path, [executable, Buffer.from(data)]]));
}
