import { create } from "@bufbuild/protobuf";
import {
  type AppError,
  asAppError,
  CancellationSchema,
  cutChars,
  type ErrorReason,
  type Failure,
  FailureSchema,
  type LiveSummary,
  Session_State,
  type SessionResult,
} from "../../proto/index.ts";
import type { ContainerExit } from "../runtime/runtime.ts";

type Outcome = SessionResult["outcome"];

/** Returns the outcome of a session that failed with an error. */
export function failure(error: unknown): Outcome {
  const known: AppError = asAppError(error);
  const { reason, metadata } = known;
  return { case: "failure", value: create(FailureSchema, { reason, message: known.toSentence(), metadata }) };
}

/** Returns the outcome of a session that somebody ended. */
export function cancellation(reason: string): Outcome {
  return { case: "cancellation", value: create(CancellationSchema, { reason }) };
}

/** Returns the outcome of a session whose container ended before the session did. */
export function exitFailure(exit: ContainerExit): Outcome {
  const { reason, message } = describeExit(exit);
  const metadata: Record<string, string> = { exit_code: String(exit.exitCode ?? "unknown") };
  if (exit.lastLogLines.length > 0) metadata["last_log_line"] = cutChars(exit.lastLogLines.at(-1)!, 500);
  return { case: "failure", value: create(FailureSchema, { reason, message, metadata }) };
}

function describeExit({ cause, exitCode }: ContainerExit): { reason: ErrorReason; message: string } {
  switch (cause) {
    case "removed":
      return {
        reason: "CONTAINER_REMOVED",
        message: "Somebody else removed the container while the session was running.",
      };
    case "runtimeLost":
      return {
        reason: "RUNTIME_RESTARTED",
        message: "The container ended when its engine was restarted or went down.",
      };
    case "outOfMemory":
      return {
        reason: "OUT_OF_MEMORY",
        message: "The container ran out of memory. Start the session with a higher memory limit.",
      };
    case "killed":
      return { reason: "CONTAINER_KILLED", message: "The container was killed from outside." };
    case "evicted":
      return {
        reason: "CONTAINER_EVICTED",
        message: "The container was ended for want of room where it ran. Start the session again.",
      };
    case "exited":
      return {
        reason: "CONTAINER_EXITED",
        message: `The container ended by itself with exit code ${exitCode ?? "unknown"}. Its last log line may say why.`,
      };
  }
}

/** Returns the final state that an outcome means. */
export function finalState(outcome: Outcome): Session_State {
  switch (outcome.case) {
    case "success":
      return Session_State.SUCCEEDED;
    case "cancellation":
      return Session_State.CANCELED;
    case "failure":
    case undefined:
      return Session_State.FAILED;
  }
}

/** Returns the failure of a patch that holds only what had been streamed: its container was gone before the agent made it. */
export function patchLost({ madeCommitCount, lastCommitSubject }: Partial<LiveSummary> = {}): Failure {
  const gone = "The container was gone before the changes were collected; these were streamed before.";
  const commits = madeCommitCount
    ? ` Claude's commits are lost (${madeCommitCount}, the last: ${lastCommitSubject}).`
    : "";
  const message = gone + commits;
  return create(FailureSchema, { reason: "CHANGES_NOT_COLLECTED", message });
}
