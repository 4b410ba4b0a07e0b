import { type AppError, Session_State } from "../../proto/index.ts";
import { EXIT } from "./command-io.ts";

/** Returns the exit code that an error means. */
export function exitCodeOf(error: AppError): number {
  if (error.reason === "APPLY_CONFLICTS") return EXIT.conflicts;
  switch (error.kind) {
    case "INVALID_ARGUMENT":
      return EXIT.usage;
    case "NOT_FOUND":
      return EXIT.notFound;
    case "CANCELED":
      return EXIT.canceled;
    case "FAILED_PRECONDITION":
    case "UNAVAILABLE":
    case "RESOURCE_EXHAUSTED":
    case "UNAUTHENTICATED":
    case "PERMISSION_DENIED":
      return EXIT.environment;
    default:
      return EXIT.sessionFailed;
  }
}

/** Returns the exit code that a session's final state means. */
export function exitCodeOfState(state: Session_State): number {
  if (state === Session_State.SUCCEEDED) return EXIT.done;
  return state === Session_State.CANCELED ? EXIT.canceled : EXIT.sessionFailed;
}
