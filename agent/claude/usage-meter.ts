import { create } from "@bufbuild/protobuf";
import { type Usage, UsageSchema } from "../../proto/index.ts";
import type { ClaudeResult, TokenCounts } from "./claude-result.ts";

const TOKENS = ["input", "output", "cacheWrite", "cacheRead"] as const;

/**
 * Sum of what Claude Code says that it used. Its costs and its tokens by model count from the start of the process, so
 * the last ones stand; steps are told turn by turn, and added.
 */
export class UsageMeter {
  #tokens: TokenCounts = { input: 0, output: 0, cacheWrite: 0, cacheRead: 0 };
  #stepCount = 0;
  #costUsd = 0;

  /** Adds what a result says. */
  add(result: ClaudeResult): void {
    const before = this.#tokens;
    const now = { ...before };
    for (const name of TOKENS) now[name] = result.totalTokens?.[name] ?? before[name] + result.turnTokens[name];
    this.#tokens = now;
    this.#stepCount += result.stepCount;
    this.#costUsd = Math.max(this.#costUsd, result.costUsd);
  }

  /** Returns the usage so far. */
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
