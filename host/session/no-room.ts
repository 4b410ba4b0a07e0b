import { AppError } from "../../proto/index.ts";

/** The store could not take something for want of room: the same works again once somebody has made some. */
export function isNoRoom(error: unknown): boolean {
  return error instanceof AppError && error.reason === "STORE_FAILED" && error.retryable;
}
