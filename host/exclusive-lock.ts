import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** SQLite's code for "somebody else has it". */
const SQLITE_BUSY = 5;

/** What a host holds as long as it uses a directory. */
export function hostLockPath(directory: string): string {
  return join(directory, "host.lock");
}

/**
 * A lock on a file that at most one process has and that the kernel takes back however the process
 * ends: an open exclusive transaction of SQLite, since Node itself has no file locks.
 */
export class ExclusiveLock implements Disposable {
  readonly #database: DatabaseSync;
  #held = true;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Takes the lock; undefined if somebody has it. Makes the file and its directory. */
  static take(path: string): ExclusiveLock | undefined {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const database = new DatabaseSync(path, { timeout: 0 });
    try {
      database.exec("BEGIN EXCLUSIVE");
      return new ExclusiveLock(database);
    } catch (error) {
      database.close();
      if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (!this.#held) return;
    this.#held = false;
    this.#database.close();
  }
}
