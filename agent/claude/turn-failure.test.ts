import { expect, test } from "vitest";
import { readResult } from "./claude-result.ts";
import { turnFailure } from "./turn-failure.ts";

const failureOf = ({ error = "", ...line }: { error?: string } & Record<string, unknown>) =>
  turnFailure({ ...readResult(line), answer: "", errorKind: error });

const cases: [reason: string | undefined, line: Record<string, unknown>][] = [
  [undefined, { subtype: "success", is_error: false, result: "Done" }],
  [
    "AUTHENTICATION_FAILED",
    { subtype: "success", is_error: true, terminal_reason: "api_error", api_error_status: 401 },
  ],
  [
    "AUTHENTICATION_FAILED",
    { subtype: "success", is_error: true, terminal_reason: "api_error", api_error_status: 403 },
  ],
  [
    "MODEL_ERROR",
    { subtype: "success", is_error: true, terminal_reason: "api_error", api_error_status: 529, result: "Overloaded" },
  ],
  [
    "MODEL_ERROR",
    {
      subtype: "success",
      is_error: true,
      terminal_reason: "api_error",
      api_error_status: null,
      result: "Connection error",
    },
  ],
  [
    "PROMPT_TOO_LONG",
    { subtype: "success", is_error: true, terminal_reason: "prompt_too_long", api_error_status: 400 },
  ],
  [
    "STEP_LIMIT_REACHED",
    { subtype: "error_max_turns", is_error: true, terminal_reason: "max_turns", errors: ["Reached"] },
  ],
  ["MODEL_REFUSED", { subtype: "success", is_error: true, terminal_reason: "api_error", stop_reason: "refusal" }],
  ["ANSWER_CUT", { subtype: "success", is_error: true, terminal_reason: "api_error", error: "max_output_tokens" }],
  ["CLAUDE_ERROR", { subtype: "error_during_execution", is_error: true, errors: ["No conversation found"] }],
];

test.each(cases)("%s", (reason, line) => {
  expect(failureOf(line)?.reason).toBe(reason);
});

test("says what failed, with the API's words, and what to do", () => {
  const [, line] = cases[3]!;
  const failure = failureOf(line);
  expect(failure?.message).toContain("Overloaded");
  expect(failure?.message).toContain("Check");
  expect(failure?.metadata).toEqual({ api_error_status: "529", text: "Overloaded" });
});

test("a request that the API refuses is not to be tried again, and its sentence ends once", () => {
  const result = "API Error: 400 the model is not in allowed_models (a).";
  const line = { subtype: "success", is_error: true, api_error_status: 400, result };
  expect(failureOf(line)?.message).toBe(
    `The model API failed: ${result} Change what it names; the same request is refused again.`,
  );
});

test("a refusal is told as what it is, and not as a broken API", () => {
  const line = {
    is_error: true,
    terminal_reason: "api_error",
    stop_reason: "refusal",
    result: "API Error: It is unsafe.",
  };
  expect(failureOf(line)?.message).toBe(
    "The model refused to go on: It is unsafe. Say the task in other words, or use another model. What it did before is in the changes.",
  );
});
