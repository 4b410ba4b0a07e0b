import { chmodSync, closeSync, openSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AppError } from "../proto/index.ts";
import { fileProblem } from "./file-problem.ts";
import { makeDirectory } from "./make-directory.ts";

/** SQLite's code for "somebody else has it". */
const SQLITE_BUSY = 5;

/** Returns the path of the lock that a host holds as long as it uses a directory. */
export function hostLockPath(directory: string): string {
  return join(directory, "host.lock");
}

/**
 * Lock on a file, which at most one process has. The kernel takes it back however the process ends. It is an open exclusive
 * transaction of SQLite, since Node has no file locks. Whoever takes it disposes of it.
 */
export class ExclusiveLock implements Disposable {
  readonly #database: DatabaseSync;
  #held = true;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /**
   * Takes the lock, at once. Undefined: somebody has it. The file is made, readable by this user only, with its directory.
   * Throws LOCK_UNUSABLE.
   */
  static take(path: string): ExclusiveLock | undefined {
    let database: DatabaseSync | undefined;
    try {
      makeDirectory(dirname(path));
      makePrivate(path);
      database = new DatabaseSync(path, { timeout: 0 });
      database.exec("BEGIN EXCLUSIVE");
      return new ExclusiveLock(database);
    } catch (error) {
      database?.close();
      if (primaryCode(error) === SQLITE_BUSY) return undefined;
      throw unusable(path, error);
    }
  }

  [Symbol.dispose](): void {
    if (!this.#held) return;
    this.#held = false;
    this.#database.close();
  }
}

/**
 * SQLite makes files that others can read, and may be asked to share. One that is there is never opened here: to close it
 * again would take away a lock that this process has.
 */
function makePrivate(path: string): void {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts === undefined) closeSync(openSync(path, "a", 0o600));
  else if ((facts.mode & 0o077) !== 0) chmodSync(path, 0o600);
}

function primaryCode(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff;
}

function unusable(path: string, error: unknown): AppError {
  const { why, cure } = fileProblem(error) ?? {
    why: error instanceof Error ? error.message : String(error),
    cure: "Remove it, since it holds nothing",
  };
  return new AppError("LOCK_UNUSABLE", `${path} cannot be used as a lock: ${why}.`, {
    help: `${cure}, or use other directories: CLAUDECLUSTER_STATE_DIR, CLAUDECLUSTER_RUNTIME_DIR.`,
    metadata: { path },
    cause: error,
  });
}
