import type { EgressDecision } from "../broker/egress-decision.ts";

/** A container can ask for endlessly many hosts. */
const MAX_OF_EACH = 200;

/**
 * Chooses what is told of a session's egress decisions: each once, and of those that were allowed as of those that were
 * refused the first two hundred, so that a flood of the ones hides none of the others.
 */
export class DecisionLog {
  readonly #told = { allowed: new Set<string>(), refused: new Set<string>() };

  /** Returns what is to be told of a decision; undefined if nothing is. */
  next(decision: EgressDecision): EgressDecision | undefined {
    const { destination, allowed, reason } = decision;
    const told = allowed ? this.#told.allowed : this.#told.refused;
    const known = `${destination} ${reason}`;
    if (told.has(known) || told.size > MAX_OF_EACH) return undefined;
    told.add(known);
    if (told.size <= MAX_OF_EACH) return decision;
    return {
      destination: "(others)",
      allowed,
      reason: `more than ${MAX_OF_EACH} destinations; the others are not told`,
    };
  }
}
