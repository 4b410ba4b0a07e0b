import { create } from "@bufbuild/protobuf";
import {
  describeReached,
  sumUsage,
  tighterBudget,
  tokensOf,
  type Budget,
  type BudgetReached,
  BudgetReachedSchema,
  BudgetReached_Scope,
  BudgetSchema,
  type Failure,
  FailureSchema,
  type MeteredUsage,
  MeteredUsageSchema,
} from "../../proto/index.ts";
import type { Reservation } from "../broker/model/model-gateway.ts";
import type { UsageStore } from "../store/session-store.ts";
import { isNoRoom } from "./no-room.ts";
import type { Reservations } from "./reservations.ts";
import { TIMEOUTS } from "./timeouts.ts";

/** Budgets that the host sets: for each session, and for all of them on one day (UTC). 0 is no bound. */
export interface Budgets {
  session: Budget;
  day: Budget;
}

/** Budgets of a session, and where its usage is stored. */
export interface SpendingOptions {
  sessionId: string;
  budgets: Budgets;
  /** Budget that the session asks for, within what the host allows. */
  wanted?: Budget | undefined;
  usage: UsageStore;
  /** Reservations of all sessions of the host. */
  reservations: Reservations;
  /** Called once for each budget that is used up. */
  onReached: (event: BudgetReached) => void;
}

/** Usage of the model by one session, and whether it may use more. */
export class Spending {
  readonly #options: SpendingOptions;
  /** The tighter of the host's and its own. */
  readonly #session: Budget;
  readonly #told = new Set<BudgetReached_Scope>();
  #used: MeteredUsage;
  /** What the store had no room for. */
  #unstored = create(MeteredUsageSchema);
  #reached: BudgetReached | undefined;

  constructor(options: SpendingOptions) {
    this.#options = options;
    this.#session = tighterBudget(options.budgets.session, options.wanted);
    this.#used = options.usage.ofSession(options.sessionId);
  }

  /** Usage of the session, that under an earlier host included. */
  get used(): MeteredUsage {
    return this.#used;
  }

  /**
   * Counts one answer of a model. What the store has no room for counts as the next one's. Throws what the store throws, except
   * for a lack of room.
   */
  add(usage: MeteredUsage, model?: string): void {
    const { usage: stored, sessionId } = this.#options;
    this.#used = sumUsage(this.#used, usage);
    const all = sumUsage(this.#unstored, usage);
    try {
      stored.add(sessionId, today(), all, model);
      this.#unstored = create(MeteredUsageSchema);
    } catch (error) {
      if (!isNoRoom(error)) throw error;
      this.#unstored = all;
    }
    this.refusal();
  }

  /**
   * Reserves the most that a request may cost. If that may not fit beside what others have reserved, it waits for them to be
   * counted. Returns `refused` once the budget is used up, `occupied` after 60 s or an abort. A request that is alone is only
   * checked against what has been used.
   */
  async reserve(worst: MeteredUsage, { signal }: { signal: AbortSignal }): Promise<Reservation> {
    const { sessionId, reservations } = this.#options;
    let ended: AbortSignal | undefined;
    for (;;) {
      const refused = this.refusal();
      if (refused !== undefined) return { refused };
      if (this.#fits(worst)) return { held: reservations.hold(sessionId, worst) };
      ended ??= AbortSignal.any([signal, AbortSignal.timeout(TIMEOUTS.budgetWaitMs)]);
      if (ended.aborted) return { occupied: "What is left of the budget may be used up by the requests under way." };
      // Why it ends is looked at above.
      await reservations.nextEnd(ended);
    }
  }

  #fits(worst: MeteredUsage): boolean {
    const { sessionId, reservations, budgets } = this.#options;
    return (
      fits(this.#session, reservations.held(sessionId), worst, () => this.used) &&
      fits(budgets.day, reservations.held(), worst, () => this.#usedToday())
    );
  }

  #usedToday(): MeteredUsage {
    return sumUsage(this.#options.usage.ofDay(today()), this.#unstored);
  }

  /** Returns a sentence on why the model may not be asked again. Undefined: it may. Calls `onReached` the first time. */
  refusal(): string | undefined {
    const { budgets } = this.#options;
    const event =
      reached(BudgetReached_Scope.SESSION, this.#session, () => this.used) ??
      reached(BudgetReached_Scope.HOST, budgets.day, () => this.#usedToday());
    if (event === undefined) return undefined;
    this.#reached = event;
    if (!this.#told.has(event.scope)) {
      this.#told.add(event.scope);
      this.#options.onReached(event);
    }
    return describeReached(event);
  }

  /** Returns the failure of a session that could not go on for want of budget. Undefined: it had enough. */
  failure(): Failure | undefined {
    const event = this.#reached;
    if (event === undefined) return undefined;
    const help =
      event.scope === BudgetReached_Scope.HOST
        ? "Continue the session tomorrow, or raise the host's daily_budget."
        : includes(this.#options.budgets.session, event.limit)
          ? "That is the host's session_budget: continue the session, or raise it in the host's config.json."
          : "Continue the session with a higher budget, within the host's session_budget.";
    return create(FailureSchema, {
      reason: "BUDGET_REACHED",
      message: `${describeReached(event)} What it did so far is in the changes. ${help}`,
      metadata: { scope: event.scope === BudgetReached_Scope.SESSION ? "session" : "host" },
    });
  }
}

/** Returns what is left of a budget of the day, by what it bounds. It may be used up by one answer too many: 0 then. */
export function leftToday(
  budget: Budget,
  usage: Pick<UsageStore, "ofDay">,
): { usd?: number; tokens?: number; requests?: number } {
  if (!isBounded(budget)) return {};
  const { maxCostUsd, maxTokenCount, maxRequestCount } = budget;
  const used = usage.ofDay(today());
  return {
    ...(maxCostUsd > 0 && { usd: Math.max(0, maxCostUsd - used.costUsd) }),
    ...(maxTokenCount > 0n && { tokens: Math.max(0, Number(maxTokenCount - tokensOf(used))) }),
    ...(maxRequestCount > 0 && { requests: Math.max(0, maxRequestCount - used.requestCount) }),
  };
}

/** Whether a bound that was reached is one of these. */
function includes(budget: Budget, bound: Budget | undefined): boolean {
  return (
    (budget.maxCostUsd > 0 && budget.maxCostUsd === bound?.maxCostUsd) ||
    (budget.maxTokenCount > 0n && budget.maxTokenCount === bound?.maxTokenCount) ||
    (budget.maxRequestCount > 0 && budget.maxRequestCount === bound?.maxRequestCount)
  );
}

function isBounded({ maxCostUsd, maxTokenCount, maxRequestCount }: Budget): boolean {
  return maxCostUsd > 0 || maxTokenCount > 0n || maxRequestCount > 0;
}

/** Whether a request stays within a budget even if it and those under way come to what they may. */
function fits(
  budget: Budget,
  held: readonly MeteredUsage[],
  worst: MeteredUsage,
  readUsed: () => MeteredUsage,
): boolean {
  if (held.length === 0 || !isBounded(budget)) return true;
  const { maxCostUsd, maxTokenCount, maxRequestCount } = budget;
  const most = held.reduce(sumUsage, sumUsage(readUsed(), worst));
  return (
    (maxCostUsd === 0 || most.costUsd <= maxCostUsd) &&
    (maxTokenCount === 0n || tokensOf(most) <= maxTokenCount) &&
    (maxRequestCount === 0 || most.requestCount <= maxRequestCount)
  );
}

function reached(scope: BudgetReached_Scope, budget: Budget, readUsed: () => MeteredUsage): BudgetReached | undefined {
  if (!isBounded(budget)) return undefined;
  const { maxCostUsd, maxTokenCount, maxRequestCount } = budget;
  const used = readUsed();
  const limit =
    maxCostUsd > 0 && used.costUsd >= maxCostUsd
      ? { maxCostUsd }
      : maxTokenCount > 0 && tokensOf(used) >= maxTokenCount
        ? { maxTokenCount }
        : maxRequestCount > 0 && used.requestCount >= maxRequestCount
          ? { maxRequestCount }
          : undefined;
  return limit && create(BudgetReachedSchema, { scope, limit: create(BudgetSchema, limit), used });
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}
