import { dirname } from "node:path";
import { AppError, type AppErrorOptions, type ErrorReason } from "../../proto/index.ts";

/** SQLite's result codes, as far as they are told apart (https://sqlite.org/rescode.html). */
const BUSY = 5;
const LOCKED = 6;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;
const FULL = 13;
/** The index of the write-ahead log did not find room. */
const IO_SHM_SIZE = 4874;
const NOT_WRITABLE = [3, 8, 14];
const NOT_WRITABLE_CODES = ["EACCES", "EPERM", "EROFS", "ENOTDIR", "EEXIST"];

/**
 * Returns the error of a store's file as an AppError, whose message begins with `failed`. STORE_FAILED with `retryable`:
 * there is no room, or another process holds the file. STORE_CORRUPT, STORE_NOT_WRITABLE: somebody has to do something.
 * An AppError is returned as it is.
 */
export function storeError(error: unknown, { path, failed }: { path: string; failed: string }): AppError {
  if (error instanceof AppError) return error;
  const { errcode = 0, code = "" } = error as { errcode?: number; code?: string };
  const primary = errcode & 0xff;
  const make = (reason: ErrorReason, why: string, options: AppErrorOptions) =>
    new AppError(reason, `${failed} ${why}`, { metadata: { path }, cause: error, ...options });
  if (primary === FULL || errcode === IO_SHM_SIZE || code === "ENOSPC" || code === "EDQUOT") {
    return make("STORE_FAILED", `There is no room left in ${dirname(path)}.`, {
      kind: "RESOURCE_EXHAUSTED",
      retryable: true,
      help: "Free some disk space, or remove sessions (claudecluster list, claudecluster remove); nothing needs to be restarted.",
    });
  }
  if (primary === CORRUPT || primary === NOT_A_DATABASE) {
    return make("STORE_CORRUPT", `${path} is damaged.`, {
      kind: "FAILED_PRECONDITION",
      help:
        `Restore it from a backup, or move it away together with ${path}-wal and ${path}-shm to start with an empty ` +
        "store; sqlite3's .recover reads from it what can still be read.",
    });
  }
  if (NOT_WRITABLE.includes(primary) || NOT_WRITABLE_CODES.includes(code)) {
    return make("STORE_NOT_WRITABLE", `${path} cannot be written.`, {
      kind: "FAILED_PRECONDITION",
      help: `Make ${dirname(path)} a directory that this user can write, or set CLAUDECLUSTER_STATE_DIR to another one.`,
    });
  }
  if (primary === BUSY || primary === LOCKED) {
    return make("STORE_FAILED", `Another process holds ${path}.`, {
      kind: "UNAVAILABLE",
      retryable: true,
      help: "Look for a program other than claudecluster that has it open.",
    });
  }
  return make("STORE_FAILED", error instanceof Error ? `${error.message}.` : "", {
    help: `Look at the disk that holds ${path}.`,
  });
}
