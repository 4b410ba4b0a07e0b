import type { EgressDecision } from "../broker/egress-decision.ts";

/** A container can ask for endlessly many hosts. */
const MAX_OF_EACH = 200;

/**
 * Log of a session's egress decisions, which leaves out repetitions and floods. It tells the first 200 that were allowed and
 * the first 200 that were refused, then once of each kind that there are more.
 */
export class DecisionLog {
  readonly #told = { allowed: new Set<string>(), refused: new Set<string>() };

  /** Returns the decision to tell: this one, or that there are too many. Undefined: none. */
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
