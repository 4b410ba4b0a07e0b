import { DatabaseSync } from "node:sqlite";

/** A host that is just ending gets this long (ms). */
const WAIT_MS = 500;

/**
 * Holds a store's file for this process, alone or with others that share it, until it is disposed
 * of or the process ends in whatever way. Throws if that cannot be had. Made of SQLite's own file
 * locks on an empty file beside it, since Node has none.
 */
export function lockStore(path: string, { exclusive }: { exclusive: boolean }): Disposable {
  const lock = new DatabaseSync(`${path}.lock`);
  try {
    lock.exec(`PRAGMA busy_timeout = ${WAIT_MS}`);
    lock.exec(exclusive ? "BEGIN EXCLUSIVE" : "BEGIN; SELECT 1 FROM sqlite_schema");
    return { [Symbol.dispose]: () => lock.close() };
  } catch (error) {
    lock.close();
    throw error;
  }
}
