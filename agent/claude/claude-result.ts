import { countOf, type JsonObject, listOf, numberOf, objectOf, textOf } from "./json.ts";

/** Tokens that were used. */
export interface TokenCounts {
  input: number;
  output: number;
  cacheWrite: number;
  cacheRead: number;
}

/** What a turn has come to. */
export interface TurnEnd extends ClaudeResult {
  /** Claude's answer, whole; of a turn that failed what Claude said last. */
  readonly answer: string;
  /** What kind of error Claude Code says that it was ("max_output_tokens"). Empty: none, or it does not say. */
  readonly errorKind: string;
}

/** A result line: Claude has ended what it did on its own terms. */
export interface ClaudeResult {
  readonly isError: boolean;
  readonly subtype: string;
  readonly terminalReason: string;
  /** Why the model stopped, as its API says it. */
  readonly stopReason: string;
  /** HTTP status of the model API's answer; 0 if it was not that. */
  readonly apiErrorStatus: number;
  /** The last block of Claude's answer, or what Claude Code says about the error. */
  readonly text: string;
  readonly stepCount: number;
  /** Since the process started, side requests and sub-agents included. Undefined: not said. */
  readonly totalTokens: TokenCounts | undefined;
  /** Of this turn, main conversation only. */
  readonly turnTokens: TokenCounts;
  /** Since the process started. */
  readonly costUsd: number;
  /** Nobody's message: Claude was woken by the end of a background command. */
  readonly unprompted: boolean;
}

export function readResult(line: JsonObject): ClaudeResult {
  const usage = objectOf(line["usage"]);
  return {
    isError: line["is_error"] === true,
    subtype: textOf(line["subtype"]),
    terminalReason: textOf(line["terminal_reason"]),
    stopReason: textOf(line["stop_reason"]),
    apiErrorStatus: countOf(line["api_error_status"]),
    text: textOf(line["result"]) || listOf(line["errors"]).map(textOf).join("\n"),
    stepCount: countOf(line["num_turns"]),
    totalTokens: totalOf(objectOf(line["modelUsage"])),
    turnTokens: {
      input: numberOf(usage["input_tokens"]),
      output: numberOf(usage["output_tokens"]),
      cacheWrite: numberOf(usage["cache_creation_input_tokens"]),
      cacheRead: numberOf(usage["cache_read_input_tokens"]),
    },
    costUsd: numberOf(line["total_cost_usd"]),
    unprompted: textOf(objectOf(line["origin"])["kind"]) === "task-notification",
  };
}

function totalOf(models: JsonObject): TokenCounts | undefined {
  const all = Object.values(models).map(objectOf);
  if (all.length === 0) return undefined;
  const sum = (name: string) => all.reduce((total, model) => total + numberOf(model[name]), 0);
  return {
    input: sum("inputTokens"),
    output: sum("outputTokens"),
    cacheWrite: sum("cacheCreationInputTokens"),
    cacheRead: sum("cacheReadInputTokens"),
  };
}
