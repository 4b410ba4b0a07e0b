import { dirname } from "node:path";
import { AppError } from "../../proto/index.ts";

/** Whether an error is the store's want of room. The same works again once somebody has made some. */
export function isNoRoom(error: unknown): boolean {
  return error instanceof AppError && error.reason === "STORE_FAILED" && error.retryable;
}

/** Returns the reason why a session waits, from the error of what could not be stored: a few words, and what to do. */
export function roomAwaited({ kind, message, help, metadata }: AppError): string {
  if (kind !== "RESOURCE_EXHAUSTED" || metadata["path"] === undefined) return `${message} ${help}`.trim();
  return `no room in ${dirname(metadata["path"])}; free some there, and it goes on by itself`;
}
