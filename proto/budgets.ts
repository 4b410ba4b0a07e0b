import { create } from "@bufbuild/protobuf";
import { type BudgetReached, BudgetReached_Scope } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";
import { type MeteredUsage, MeteredUsageSchema } from "./gen/claudecluster/session/v1alpha1/session_result_pb.ts";
import { type Budget, BudgetSchema } from "./gen/claudecluster/session/v1alpha1/session_spec_pb.ts";

/** Returns the tighter of two budgets: for each bound the smaller one. 0 is no bound. */
export function tighterBudget(first: Budget, second: Budget | undefined): Budget {
  const tighter = <T extends number | bigint>(a: T, b: T | undefined): T => (!b ? a : !a || b < a ? b : a);
  return create(BudgetSchema, {
    maxCostUsd: tighter(first.maxCostUsd, second?.maxCostUsd),
    maxTokenCount: tighter(first.maxTokenCount, second?.maxTokenCount),
    maxRequestCount: tighter(first.maxRequestCount, second?.maxRequestCount),
  });
}

/** Returns the sentence that says which budget is used up, and by how much. */
export function describeReached({ scope, limit, used }: BudgetReached): string {
  const whose = scope === BudgetReached_Scope.HOST ? "The host's budget for one day (UTC)" : "The session's budget";
  if (limit === undefined || used === undefined) return `${whose} is used up.`;
  const [bound, spent] =
    limit.maxCostUsd > 0
      ? [dollars(limit.maxCostUsd), dollars(used.costUsd)]
      : limit.maxTokenCount > 0
        ? [`${limit.maxTokenCount} tokens`, `${tokensOf(used)}`]
        : [`${limit.maxRequestCount} model requests`, `${used.requestCount}`];
  return `${whose} of ${bound} is used up (${spent}).`;
}

/** Made with its first use: that takes longer than most that a program loads. */
let dollarFormat: Intl.NumberFormat | undefined;
const DOLLARS = {
  style: "currency",
  currency: "USD",
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
  minimumSignificantDigits: 2,
  maximumSignificantDigits: 2,
  roundingPriority: "morePrecision",
} as const;

/** Returns an amount of dollars as users see it: "$1,234.50" in cents, below ten cents "$0.0012" with two digits. */
export function dollars(usd: number): string {
  dollarFormat ??= new Intl.NumberFormat("en-US", DOLLARS);
  return usd > 0 && usd < 1e-6 ? "<$0.000001" : dollarFormat.format(usd);
}

/** Returns the sum of two usages. */
export function sumUsage(first: MeteredUsage, second: MeteredUsage): MeteredUsage {
  return create(MeteredUsageSchema, {
    requestCount: first.requestCount + second.requestCount,
    inputTokenCount: first.inputTokenCount + second.inputTokenCount,
    outputTokenCount: first.outputTokenCount + second.outputTokenCount,
    cacheWriteTokenCount: first.cacheWriteTokenCount + second.cacheWriteTokenCount,
    cacheReadTokenCount: first.cacheReadTokenCount + second.cacheReadTokenCount,
    costUsd: first.costUsd + second.costUsd,
  });
}

/** Returns the number of all tokens in a usage, those of the cache included. */
export function tokensOf(usage: TokenCounts): bigint {
  const { inputTokenCount, outputTokenCount, cacheWriteTokenCount, cacheReadTokenCount } = usage;
  return inputTokenCount + outputTokenCount + cacheWriteTokenCount + cacheReadTokenCount;
}

type TokenCounts = Pick<
  MeteredUsage,
  "inputTokenCount" | "outputTokenCount" | "cacheWriteTokenCount" | "cacheReadTokenCount"
>;
