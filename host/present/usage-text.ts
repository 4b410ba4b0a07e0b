import { dollars } from "../../proto/index.ts";
import type { SessionSummary } from "./session-summary.ts";

/** What a session used, in a few words: without a cost where the host has not told it yet, empty without any usage. */
export function usageText(usage: SessionSummary["usage"]): string {
  if (usage === undefined) return "";
  const { input_tokens: sent, output_tokens: received, cost_usd: cost } = usage;
  return `${sent} tokens in, ${received} out${cost === undefined ? "" : `, ${dollars(cost)}`}`;
}
