import type { Logger } from "pino";
import { rest } from "../sleep.ts";
import { type AppError, asAppError } from "../../proto/index.ts";
import type { RunEnd } from "./end-reason.ts";
import { isNoRoom, roomAwaited } from "./no-room.ts";
import { TIMEOUTS } from "./timeouts.ts";

/** A session's wait for room in the store. Each wait is logged once, and once more when it is over. */
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

  /** What is waited for, and what to do. Empty: nothing. */
  get reason(): string {
    return this.#reason;
  }

  /** Notes that something found no room; undefined: that it has found some. */
  note(missing: AppError | undefined): void {
    const reason = missing === undefined ? "" : roomAwaited(missing);
    if (reason !== "" && this.#reason === "") this.#logger.error({ err: missing }, "session waits for room");
    if (reason === "" && this.#reason !== "") this.#logger.warn("there is room again, the session goes on");
    if (reason === this.#reason) return;
    this.#reason = reason;
    this.#onChanged();
  }

  /**
   * Stores something, again and again while there is no room for it. Returns false where the session was let go of meanwhile.
   * Throws what `store` throws; for want of room only once the session was killed.
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
