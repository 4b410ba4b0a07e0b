import type { LitElement } from "lit";
import { problemOf } from "../parts/problem.ts";

/** Call of the host that somebody asked for: whether it runs, and what it was refused with. */
export class Call {
  readonly #element: LitElement;
  /** Whether it has not been answered. */
  runs = false;
  /** What went wrong, as the host says it. Empty: nothing. */
  problem = "";

  /** `element` is drawn again with each change. */
  constructor(element: LitElement) {
    this.#element = element;
  }

  /** Makes the call, one at a time. Returns whether it was answered well. */
  async make(call: () => Promise<unknown>): Promise<boolean> {
    if (this.runs) return false;
    this.runs = true;
    this.problem = "";
    this.#element.requestUpdate();
    try {
      await call();
      return true;
    } catch (error) {
      this.problem = problemOf(error);
      return false;
    } finally {
      this.runs = false;
      this.#element.requestUpdate();
    }
  }
}
