import type { Logger } from "pino";
import { rest } from "../sleep.ts";
import { type AppError, asAppError } from "../../proto/index.ts";
import type { RunEnd } from "./end-reason.ts";
import { isNoRoom, roomAwaited } from "./no-room.ts";
import { TIMEOUTS } from "./timeouts.ts";

/** Wait of a session for room in the store. Its beginning and its end are logged. */
export class RoomWait {
  readonly #end: RunEnd;
  readonly #logger: Logger;
  readonly #retryMs: number;
  readonly #onChanged: () => void;
  #reason = "";

  /** `retryMs` is the time between two attempts; default TIMEOUTS.storeRetryMs. `onChanged` is called for each new reason. */
  constructor(options: { end: RunEnd; logger: Logger; retryMs?: number; onChanged?: () => void }) {
    this.#end = options.end;
    this.#logger = options.logger;
    this.#retryMs = options.retryMs ?? TIMEOUTS.storeRetryMs;
    this.#onChanged = options.onChanged ?? (() => {});
  }

  /** Reason of the wait, and what to do. Empty: nothing is waited for. */
  get reason(): string {
    return this.#reason;
  }

  /** Notes the error of what found no room. Undefined: it has found some. */
  note(missing: AppError | undefined): void {
    const reason = missing === undefined ? "" : roomAwaited(missing);
    if (reason !== "" && this.#reason === "") this.#logger.error({ err: missing }, "session waits for room");
    if (reason === "" && this.#reason !== "") this.#logger.warn("there is room again, the session goes on");
    if (reason === this.#reason) return;
    this.#reason = reason;
    this.#onChanged();
  }

  /**
   * Stores something, and tries again every `retryMs` while there is no room. Returns false if the session was let go of before
   * that. Throws what `store` throws, for want of room only once the session was killed.
   */
  async store(store: () => void | Promise<void>): Promise<boolean> {
    for (;;) {
      try {
        await store();
        this.note(undefined);
        return true;
      } catch (error) {
        if (!isNoRoom(error) || this.#end.kind === "killed") throw error;
        if (this.#end.kind === "detached") return false;
        this.note(asAppError(error));
      }
      await rest(this.#retryMs);
    }
  }
}
