import { dirname } from "node:path";
import { AppError } from "../../proto/index.ts";

/** The store could not take something for want of room: the same works again once somebody has made some. */
export function isNoRoom(error: unknown): boolean {
  return error instanceof AppError && error.reason === "STORE_FAILED" && error.retryable;
}

/** Says in a few words what a session waits for that could not be stored, and what to do. */
export function roomAwaited({ kind, message, help, metadata }: AppError): string {
  if (kind !== "RESOURCE_EXHAUSTED" || metadata["path"] === undefined) return `${message} ${help}`.trim();
  return `no room in ${dirname(metadata["path"])}; free some there, and it goes on by itself`;
}
