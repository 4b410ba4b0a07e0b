import { TIMEOUTS } from "./timeouts.ts";

/** Start of a session, which is not to be disturbed. Disposing of it ends it. */
export interface SessionStart extends Disposable {
  /** Notes that the session has begun: a little later its start is over. */
  begun(how: { taken: boolean }): void;
}

/** Sessions that are starting, and so need the processors themselves. */
export class SessionStarts {
  readonly #onOver: () => void;
  #count = 0;

  /** Takes what is called each time that one of them is over, and again when it is disposed of. */
  constructor(onOver: () => void) {
    this.#onOver = onOver;
  }

  get any(): boolean {
    return this.#count > 0;
  }

  /** Notes that a session starts. */
  begin(): SessionStart {
    this.#count += 1;
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const over = () => {
      clearTimeout(timer);
      if (!isOver) this.#count -= 1;
      isOver = true;
      this.#onOver();
    };
    return {
      begun: ({ taken }) => {
        timer ??= setTimeout(over, taken ? TIMEOUTS.refillAfterMs : TIMEOUTS.refillAfterColdMs).unref();
      },
      [Symbol.dispose]: over,
    };
  }
}
