import { create } from "@bufbuild/protobuf";
import { cutText, type ErrorReason, type Failure, FailureSchema } from "../../proto/index.ts";
import type { TurnEnd } from "./claude-result.ts";

const TEXT_BYTES = 2048;

/** Returns why a turn failed, by Claude's result. Undefined: it did not fail. */
export function turnFailure(result: TurnEnd): Failure | undefined {
  // API errors come with the subtype "success", so only is_error counts.
  if (!result.isError) return undefined;
  const { text } = cutText(result.text, TEXT_BYTES);
  const said = text.replace(/\.+$/, "");
  if (isRefusedCredential(result.apiErrorStatus)) return authenticationFailure(result.apiErrorStatus);
  if (result.subtype === "error_max_turns") {
    return failure("STEP_LIMIT_REACHED", "Claude used all the model steps that one turn may take.", {
      help: "Raise max_step_count, or give it a smaller task. What it did so far is in the changes.",
    });
  }
  if (result.terminalReason === "prompt_too_long") {
    return failure("PROMPT_TOO_LONG", "The conversation does not fit into the model's context any more.", {
      help: "Split the task, or start a new session on the changes.",
    });
  }
  if (result.stopReason === "refusal") {
    const why = said.replace(/^API Error: /, "");
    return failure("MODEL_REFUSED", `The model refused to go on: ${why || "it does not say why"}.`, {
      metadata: { text },
      help: "Say the task in other words, or use another model. What it did before is in the changes.",
    });
  }
  if (result.errorKind === "max_output_tokens") {
    return failure("ANSWER_CUT", "Claude's answer was longer than the model may write, each time that it went on.", {
      metadata: { text },
      help: "What it said is the answer so far. Ask for less at once, or for files instead of one long text.",
    });
  }
  if (result.apiErrorStatus !== 0 || result.terminalReason === "api_error") {
    const status = String(result.apiErrorStatus);
    const metadata = { api_error_status: status, text };
    return failure("MODEL_ERROR", `The model API failed: ${said || `HTTP ${status}`}.`, {
      metadata,
      help:
        status === "400"
          ? "Change what it names; the same request is refused again."
          : "Check the model's name and the API's state, then try again.",
    });
  }
  const { subtype, terminalReason } = result;
  return failure("CLAUDE_ERROR", `Claude ended the turn with an error (${subtype}): ${said || terminalReason}.`, {
    metadata: { subtype, terminal_reason: terminalReason, text },
    help: "The events before say what it was doing.",
  });
}

/** Returns whether a status of the model's API means that it refuses the credential. No retry helps then. */
export function isRefusedCredential(httpStatus: number): boolean {
  return httpStatus === 401 || httpStatus === 403;
}

/** Returns the failure of a session whose credential the model's API refuses. */
export function authenticationFailure(httpStatus: number): Failure {
  const status = String(httpStatus);
  return failure("AUTHENTICATION_FAILED", `The model API refused the host's credential (HTTP ${status}).`, {
    metadata: { http_status: status },
    help: "Give the host a valid key that may use the model, and start the session again.",
  });
}

/** Returns a failure: its message says what failed, with what, and what to do. */
export function failure(
  reason: ErrorReason,
  message: string,
  { metadata = {}, help = "" }: { metadata?: Record<string, string>; help?: string } = {},
): Failure {
  return create(FailureSchema, { reason, message: help === "" ? message : `${message} ${help}`, metadata });
}
