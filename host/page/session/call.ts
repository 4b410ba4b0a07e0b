import type { ReactiveController, ReactiveControllerHost } from "lit";
import { problemOf } from "../act/problem.ts";

/** Call of the host that somebody asked for: whether it runs, and what it was refused with. */
export class Call implements ReactiveController {
  readonly #host: ReactiveControllerHost;
  /** Whether it has not been answered. */
  runs = false;
  /** What went wrong, as the host says it. Empty: nothing. */
  problem = "";

  constructor(host: ReactiveControllerHost) {
    this.#host = host;
    host.addController(this);
  }

  /** Part of what Lit asks of a controller. */
  hostConnected(): void {}

  /** Makes the call, one at a time. Returns whether it was answered well. */
  async make(call: () => Promise<unknown>): Promise<boolean> {
    if (this.runs) return false;
    this.runs = true;
    this.problem = "";
    this.#host.requestUpdate();
    try {
      await call();
      return true;
    } catch (error) {
      this.problem = problemOf(error);
      return false;
    } finally {
      this.runs = false;
      this.#host.requestUpdate();
    }
  }
}
