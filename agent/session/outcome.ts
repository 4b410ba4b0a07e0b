import { clone, create } from "@bufbuild/protobuf";
import {
  AppError,
  CancellationSchema,
  cutText,
  type Failure,
  FailureSchema,
  type ProcessExit,
  ProcessExitSchema,
  Session_State as State,
  type SessionResult,
  SuccessSchema,
} from "../../proto/index.ts";
import type { ClaudeExit } from "../claude/claude-process.ts";
import { failure } from "../claude/turn-failure.ts";

/** Reason for which a session is ended before it ends by itself. */
export type EndReason =
  | { kind: "stopped"; reason: string }
  | { kind: "shutDown" }
  | { kind: "timedOut"; timeoutMs: number }
  | { kind: "failed"; failure: Failure };

/** Outcome of a turn. */
export interface TurnOutcome {
  /** Failure of the turn. Undefined: it did not fail. */
  readonly failure: Failure | undefined;
  readonly interrupted: boolean;
}

type Outcome = SessionResult["outcome"];

const REASON_BYTES = 1024;

/** Returns the outcome of a session: by what ended it early, otherwise by an error, otherwise by its last turn. */
export function outcomeOf(facts: {
  end: EndReason | undefined;
  error: Failure | undefined;
  lastTurn: TurnOutcome | undefined;
}): Outcome {
  const { end, error, lastTurn } = facts;
  if (end !== undefined) return outcomeOfEnd(end);
  const failed = error ?? lastTurn?.failure;
  if (failed !== undefined) return { case: "failure", value: failed };
  if (lastTurn === undefined || lastTurn.interrupted) return canceled("The last turn was interrupted.");
  return { case: "success", value: create(SuccessSchema) };
}

function outcomeOfEnd(end: EndReason): Outcome {
  switch (end.kind) {
    case "stopped":
      return canceled(end.reason === "" ? "Somebody stopped it." : end.reason);
    case "shutDown":
      return canceled("The agent was told to end.");
    case "timedOut":
      return { case: "failure", value: timedOut(end.timeoutMs) };
    case "failed":
      return { case: "failure", value: end.failure };
    default:
      return end satisfies never;
  }
}

/** Returns the outcome of the turn that runs when the session is ended early. */
export function turnOutcomeOfEnd(end: EndReason): TurnOutcome {
  if (end.kind === "timedOut") return { failure: timedOut(end.timeoutMs), interrupted: false };
  if (end.kind === "failed") return { failure: end.failure, interrupted: false };
  return { failure: undefined, interrupted: true };
}

/** Returns the final state of a session with this outcome. */
export function finalState(outcome: Outcome): State {
  if (outcome.case === "success") return State.SUCCEEDED;
  return outcome.case === "cancellation" ? State.CANCELED : State.FAILED;
}

/**
 * Returns the failure for an error before or beside Claude. An error that is no AppError is INTERNAL, without its text.
 */
export function failureOf(error: unknown): Failure {
  if (error instanceof AppError) return failure(error.reason, error.toSentence(), { metadata: error.metadata });
  return failure("INTERNAL", "The agent failed; its log says more.");
}

/** Adds to a failure which directories had no room left: Claude and its tools may not say so. */
export function withFullDirectories(outcome: Outcome, directories: readonly string[]): Outcome {
  if (outcome.case !== "failure" || directories.length === 0) return outcome;
  const value = clone(FailureSchema, outcome.value);
  value.message +=
    ` There is no room left in ${directories.join(" and ")}.` +
    " Give the session more memory (--memory), of which an eighth is for each of them, up to 256 MiB.";
  value.metadata["full_directories"] = directories.join(" ");
  return { case: "failure", value };
}

/** Returns how Claude's process ended, for the result. */
export function processExit({ code, signal }: ClaudeExit, end: EndReason | undefined): ProcessExit {
  return create(ProcessExitSchema, {
    ...(code !== undefined && { exitCode: code }),
    signal,
    timedOut: end?.kind === "timedOut",
    canceled: end?.kind === "stopped" || end?.kind === "shutDown",
  });
}

/** Returns the failure for a Claude that exited without a result. */
export function exitFailure({ code, signal, stderrTail }: ClaudeExit): Failure {
  const how = signal === "" ? `with exit code ${code ?? "unknown"}` : `by ${signal}`;
  const said = stderrTail === "" ? "It wrote no error." : `Its last words: ${stderrTail}`;
  return failure("CLAUDE_EXITED", `Claude ended ${how} with a message unanswered. ${said}`, {
    metadata: { exit_code: String(code ?? ""), signal, stderr: stderrTail },
    help: signal === "SIGKILL" ? "The container may have run out of memory: raise its limit." : "",
  });
}

function timedOut(timeoutMs: number): Failure {
  const seconds = String(timeoutMs / 1000);
  return failure("TIMED_OUT", `The session's time of ${seconds} s was over.`, {
    metadata: { timeout_seconds: seconds },
    help: "Allow more with timeout. What Claude did so far is in the changes.",
  });
}

function canceled(reason: string): Outcome {
  const value = create(CancellationSchema, { reason: cutText(reason, REASON_BYTES).text });
  return { case: "cancellation", value };
}
