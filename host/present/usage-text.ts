import { dollars } from "../../proto/index.ts";
import type { SessionSummary } from "./session-summary.ts";

/**
 * Returns a session's usage in a few words. The cost is left out until the host has told it; without any usage the text
 * is empty.
 */
export function usageText(usage: SessionSummary["usage"]): string {
  if (usage === undefined) return "";
  const { input_tokens: sent, output_tokens: received, cost_usd: cost } = usage;
  return `${sent} tokens in, ${received} out${cost === undefined ? "" : `, ${dollars(cost)}`}`;
}
