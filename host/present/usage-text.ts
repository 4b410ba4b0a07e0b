import type { SessionSummary } from "./session-summary.ts";

/** What a session used, in a few words; without a cost where the host has not told it yet. */
export function usageText({
  input_tokens: sent,
  output_tokens: received,
  cost_usd: cost,
}: SessionSummary["usage"]): string {
  return `${sent} tokens in, ${received} out${cost === undefined ? "" : `, $${cost.toFixed(4)}`}`;
}
