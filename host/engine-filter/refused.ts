import { AppError } from "../../proto/index.ts";

/** Returns the error for a call that is not passed on: no session needs it. */
export function refused(message: string): AppError {
  return new AppError("ENGINE_CALL_REFUSED", message);
}

/** Returns the error for a call on something that was not made through this filter, whether it exists or not. */
export function notOurs(what: string): AppError {
  return new AppError("ENGINE_CALL_REFUSED", `The engine filter knows no such ${what}.`, { kind: "NOT_FOUND" });
}

/** Returns the HTTP status that an error is answered with. */
export function statusOf({ kind }: AppError): number {
  switch (kind) {
    case "NOT_FOUND":
      return 404;
    case "RESOURCE_EXHAUSTED":
      return 413;
    default:
      return 403;
  }
}
