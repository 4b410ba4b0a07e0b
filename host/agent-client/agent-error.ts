import { Code, ConnectError } from "@connectrpc/connect";
import { AppError } from "../../proto/index.ts";
import { carriedError } from "../rpc/carried-error.ts";

/** Returns the error for a connection that is gone. */
export function connectionLost(cause?: unknown): AppError {
  return new AppError("CONNECTION_LOST", "The connection to the agent is lost.", {
    retryable: true,
    cause,
  });
}

/** Returns the cause of a loss when the agent says nothing any more. */
export function connectionSilent(): AppError {
  return connectionLost(new Error("Nothing came from the agent any more."));
}

/**
 * Returns the agent's own error, or one for a broken connection. Only an error with the agent's ErrorInfo is an answer:
 * a lost connection shows as Canceled, Aborted, Internal or Unavailable, depending on how it was lost.
 */
export function agentError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return carriedError(error) ?? outdated(error) ?? tooLarge(error) ?? connectionLost(error);
}

/** A call that the agent does not know: gRPC's own answer, without details of ours. */
function outdated(error: unknown): AppError | undefined {
  if (!(error instanceof ConnectError) || error.code !== Code.Unimplemented) return undefined;
  return agentOutdated(error);
}

/** Returns the error for an agent without an ability that every session needs. */
export function agentOutdated(cause?: unknown): AppError {
  return new AppError("AGENT_OUTDATED", "The agent in the image is too old for this host.", {
    help: "Build the image again: claudecluster image",
    cause,
  });
}

/** A message above the client's bound, which would come again on every connection. Connect has no other sign of it. */
function tooLarge(error: unknown): AppError | undefined {
  if (!(error instanceof ConnectError) || error.code !== Code.ResourceExhausted) return undefined;
  if (!error.rawMessage.includes("larger than configured readMaxBytes")) return undefined;
  return messageTooLarge(error);
}

/** Returns the error for a message above its bound. */
export function messageTooLarge(cause?: unknown): AppError {
  return new AppError("AGENT_INVALID", "The agent sent a message that is larger than any agent's may be.", {
    help: "Use an image with an agent that keeps to the contract.",
    cause,
  });
}
