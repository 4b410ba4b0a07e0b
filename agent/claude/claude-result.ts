import { countOf, type JsonObject, listOf, numberOf, objectOf, textOf } from "./json.ts";

/** Tokens that were used, by kind. */
export interface TokenCounts {
  input: number;
  output: number;
  cacheWrite: number;
  cacheRead: number;
}

/** Result of a turn, with the answer that it came to. */
export interface TurnEnd extends ClaudeResult {
  /** Answer of Claude's, whole. If the turn failed: what Claude said last. */
  readonly answer: string;
  /** Kind of error that Claude Code names, such as "max_output_tokens". Empty: there was no error, or it names none. */
  readonly errorKind: string;
}

/** Result line of Claude Code: Claude has ended a turn, or what it did by itself between turns. */
export interface ClaudeResult {
  readonly isError: boolean;
  readonly subtype: string;
  readonly terminalReason: string;
  /** Reason why the model stopped, in the words of its API. */
  readonly stopReason: string;
  /** HTTP status of the model API's error. 0: the API gave no error. */
  readonly apiErrorStatus: number;
  /** Last block of Claude's answer, or what Claude Code says about the error. */
  readonly text: string;
  /** Number of the model's steps. */
  readonly stepCount: number;
  /**
   * Tokens since the process started, those of side requests and sub-agents included. Undefined: Claude Code does not
   * say.
   */
  readonly totalTokens: TokenCounts | undefined;
  /** Tokens of this turn's main conversation. */
  readonly turnTokens: TokenCounts;
  /** Cost since the process started (dollars). */
  readonly costUsd: number;
  /** Whether the end of a background command woke Claude, and no message did. */
  readonly unprompted: boolean;
}

/** Returns the result that a line of type "result" holds. What is missing in it is empty or 0. */
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
