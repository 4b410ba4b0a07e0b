import type { Failure, Step } from "./scenario.ts";

const REMEMBERED_PLACES = 10_000;

/**
 * Counts how often each place of each conversation has been asked for. It is the only state of the scripted
 * model: a retry is otherwise identical to the request before it.
 */
export class Attempts {
  readonly #counts = new Map<string, number>();

  /** The number of this attempt at a place, from 1. */
  next(place: string): number {
    const count = (this.#counts.get(place) ?? 0) + 1;
    this.#counts.delete(place);
    this.#counts.set(place, count);
    const [oldest] = this.#counts.keys();
    if (this.#counts.size > REMEMBERED_PLACES && oldest !== undefined) this.#counts.delete(oldest);
    return count;
  }
}

/** The step as it goes on this attempt: without its failure once that has happened `times` times. */
export function stepForAttempt(step: Step, attempt: number): Step {
  const { failure, ...rest } = step;
  return failure === undefined || attempt > timesOf(failure) ? rest : step;
}

function timesOf(failure: Failure & { readonly times?: number }): number {
  return failure.times ?? Number.POSITIVE_INFINITY;
}
