import { create } from "@bufbuild/protobuf";
import {
  describeReached,
  sumUsage,
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
import type { SessionStore } from "../store/session-store.ts";
import { isNoRoom } from "./no-room.ts";

/** What the host allows: each session, and all of them on one day (UTC). 0 is no bound. */
export interface Budgets {
  session: Budget;
  day: Budget;
}

export interface SpendingOptions {
  sessionId: string;
  budgets: Budgets;
  store: Pick<SessionStore, "addUsage" | "usageOfSession" | "usageOfDay">;
  /** Called once for each budget that is used up. */
  onReached: (event: BudgetReached) => void;
}

/** Counts what a session uses of the model, and says when it may not use more. */
export class Spending {
  readonly #options: SpendingOptions;
  readonly #told = new Set<BudgetReached_Scope>();
  /** What the store had no room for. */
  #unstored = create(MeteredUsageSchema);
  #reached: BudgetReached | undefined;

  constructor(options: SpendingOptions) {
    this.#options = options;
  }

  /** What the session has used, also under a host before this one. */
  get used(): MeteredUsage {
    const { store, sessionId } = this.#options;
    return sumUsage(store.usageOfSession(sessionId), this.#unstored);
  }

  /** Counts one answer. Throws what the store throws, but for want of room. */
  add(usage: MeteredUsage): void {
    const { store, sessionId } = this.#options;
    const all = sumUsage(this.#unstored, usage);
    try {
      store.addUsage(sessionId, today(), all);
      this.#unstored = create(MeteredUsageSchema);
    } catch (error) {
      if (!isNoRoom(error)) throw error;
      this.#unstored = all;
    }
    this.refusal();
  }

  /** Why the model may not be asked again, as a sentence. Undefined: it may. */
  refusal(): string | undefined {
    const { store, budgets } = this.#options;
    const event =
      reached(BudgetReached_Scope.SESSION, budgets.session, () => this.used) ??
      reached(BudgetReached_Scope.HOST, budgets.day, () => sumUsage(store.usageOfDay(today()), this.#unstored));
    if (event === undefined) return undefined;
    this.#reached = event;
    if (!this.#told.has(event.scope)) {
      this.#told.add(event.scope);
      this.#options.onReached(event);
    }
    return describeReached(event);
  }

  /** The failure of a session that could not go on for want of budget; undefined if it had enough. */
  failure(): Failure | undefined {
    const event = this.#reached;
    if (event === undefined) return undefined;
    const help =
      event.scope === BudgetReached_Scope.SESSION
        ? "Continue the session with a higher budget (max_cost_usd, max_tokens, max_requests), within what the host allows."
        : "Continue the session tomorrow, or raise the host's daily_budget.";
    return create(FailureSchema, {
      reason: "BUDGET_REACHED",
      message: `${describeReached(event)} What it did so far is in the changes. ${help}`,
      metadata: { scope: event.scope === BudgetReached_Scope.SESSION ? "session" : "host" },
    });
  }
}

function reached(
  scope: BudgetReached_Scope,
  { maxCostUsd, maxTokenCount, maxRequestCount }: Budget,
  readUsed: () => MeteredUsage,
): BudgetReached | undefined {
  if (maxCostUsd === 0 && maxTokenCount === 0n && maxRequestCount === 0) return undefined;
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
