import { AppError, asAppError, type ErrorKind, type ErrorReason } from "../../../proto/index.ts";
import { connectProblem } from "../../connect-problem.ts";

/** Nothing was sent: the engine was not reached at all. */
const NOT_REACHED = new Set([
  "ECONNREFUSED",
  "ENOENT",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "EAI_AGAIN",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENOTDIR",
]);
const FORBIDDEN = new Set(["EACCES", "EPERM"]);

/** Returns the HTTP status of the engine's answer. Undefined: it did not answer. */
export function statusOf(error: unknown): number | undefined {
  return typeof error === "object" && error !== null && "statusCode" in error && typeof error.statusCode === "number"
    ? error.statusCode
    : undefined;
}

/** Returns whether the engine has answered, or cannot have received the request. */
export function isDefinite(error: unknown): boolean {
  const code = codeOf(error);
  return statusOf(error) !== undefined || NOT_REACHED.has(code) || FORBIDDEN.has(code);
}

/**
 * Returns the error for a failure of the engine's, by its error and status codes. `reason` and `what` are for an answer
 * that says no. A signal's reason and our own errors pass unchanged.
 */
export function engineError(error: unknown, { reason, what }: { reason: ErrorReason; what: string }): AppError {
  if (error instanceof AppError) return error;
  const code = codeOf(error);
  if (FORBIDDEN.has(code)) {
    return new AppError("RUNTIME_PERMISSION_DENIED", "This user may not talk to the Docker engine.", {
      metadata: { code },
      help: "Add the user to the group that owns its socket (sudo usermod -aG docker $USER, then log in again), or use a rootless engine.",
      cause: error,
    });
  }
  const status = statusOf(error);
  if (status === undefined && code !== "") {
    const what = NOT_REACHED.has(code)
      ? "The Docker engine is not running"
      : "The connection to the Docker engine broke";
    const message = `${what}: ${connectProblem(error)}.`;
    return new AppError("RUNTIME_UNAVAILABLE", message, {
      metadata: { code },
      retryable: true,
      help: "Start it (Docker Desktop, or: sudo systemctl start docker); `docker info` shows whether it answers.",
      cause: error,
    });
  }
  if (status === undefined) return asAppError(error);
  return new AppError(reason, `${what}: ${answerOf(error)}.`, {
    ...adviceOn(status),
    metadata: { status: String(status) },
    // The engine's own failures are often a matter of the moment.
    retryable: status >= 500,
    cause: error,
  });
}

function adviceOn(status: number): { kind: ErrorKind; help: string } {
  switch (status) {
    case 400:
      return { kind: "INVALID_ARGUMENT", help: "Change the limits or the image." };
    case 403:
      // No engine says so by itself.
      return { kind: "PERMISSION_DENIED", help: "The engine filter refused it: its log and its --image say more." };
    default:
      return { kind: "INTERNAL", help: "Look at the engine: `claudecluster doctor`, `docker info`." };
  }
}

/** Returns the error for an image that the engine does not have. */
export function imageNotFound(image: string, cause: unknown): AppError {
  return new AppError("IMAGE_NOT_FOUND", `The image "${image}" is not on this engine.`, {
    metadata: { image },
    help: `Build the agent image with \`claudecluster image\`, or fetch this one with \`docker pull ${image}\`.`,
    cause,
  });
}

function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
    ? error.code
    : "";
}

/** The sentence in the engine's answer, without docker-modem's wrapping "(HTTP code 409) unexpected - … ". */
function answerOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^\(HTTP code \d+\) unexpected - /, "").trim();
}
