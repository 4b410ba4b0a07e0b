import { create } from "@bufbuild/protobuf";
import { type Usage, UsageSchema } from "../../proto/index.ts";
import type { ClaudeResult, TokenCounts } from "./claude-result.ts";

const TOKENS = ["input", "output", "cacheWrite", "cacheRead"] as const;

/**
 * Adds up what Claude Code says it used. Costs and totals by model are cumulative already, so the
 * last ones count; steps are told turn by turn.
 */
export class UsageMeter {
  #tokens: TokenCounts = { input: 0, output: 0, cacheWrite: 0, cacheRead: 0 };
  #stepCount = 0;
  #costUsd = 0;

  add(result: ClaudeResult): void {
    const before = this.#tokens;
    const now = { ...before };
    for (const name of TOKENS) now[name] = result.totalTokens?.[name] ?? before[name] + result.turnTokens[name];
    this.#tokens = now;
    this.#stepCount += result.stepCount;
    this.#costUsd = Math.max(this.#costUsd, result.costUsd);
  }

  usage(): Usage {
    const count = (tokens: number) => BigInt(Math.max(0, Math.trunc(tokens)));
    return create(UsageSchema, {
      inputTokenCount: count(this.#tokens.input),
      outputTokenCount: count(this.#tokens.output),
      cacheWriteTokenCount: count(this.#tokens.cacheWrite),
      cacheReadTokenCount: count(this.#tokens.cacheRead),
      stepCount: this.#stepCount,
      costUsd: this.#costUsd,
    });
  }
}
