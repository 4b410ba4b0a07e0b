import { chmodSync, mkdirSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { AppError } from "../../proto/index.ts";
import { ExclusiveLock } from "../exclusive-lock.ts";
import type { ArtifactFiles } from "./artifact-files.ts";
import { Checkpoints } from "./checkpoints.ts";
import { migrate } from "./migrations.ts";
import { storeError } from "./store-error.ts";

/** SQLite's own default. */
const PAGE_BYTES = 4096;
/** The thread that empties the write-ahead log may hold the file for a moment. */
const BUSY_TIMEOUT_MS = 5000;
/** The write-ahead log is cut back to this once it has been emptied (bytes). */
const LOG_BYTES = 128 * 1024 * 1024;
/** A log that the thread does not empty is emptied here (pages). */
const LOG_PAGES = (2 * LOG_BYTES) / PAGE_BYTES;
/** Above this only the list of sessions is checked at the start (bytes); reading 256 MiB takes some 200 ms. */
const CHECKED_BYTES = 256 * 1024 * 1024;
/** Room for the ends of a thousand logs that are written to by turns (KiB). */
const CACHE_KIB = 16 * 1024;
/** What a session's start takes, and some more: with less it would fail or wait before it has begun (bytes). */
const NEW_SESSION_BYTES = 256 * 1024;
const INCREMENTAL = 2;

interface StoreFileParts {
  database: DatabaseSync;
  lock: Disposable | undefined;
  checkpoints: Checkpoints | undefined;
}

/**
 * File of a store: an SQLite database (WAL), in memory if the path is ":memory:". It is readable by its user only, and
 * locked for this process until it is disposed of.
 */
export class StoreFile implements Disposable {
  readonly database: DatabaseSync;
  readonly #path: string;
  readonly #lock: Disposable | undefined;
  readonly #checkpoints: Checkpoints | undefined;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  #open = true;

  private constructor(path: string, { database, lock, checkpoints }: StoreFileParts) {
    this.#path = path;
    this.database = database;
    this.#lock = lock;
    this.#checkpoints = checkpoints;
    this.#begin = database.prepare("BEGIN IMMEDIATE");
    this.#commit = database.prepare("COMMIT");
  }

  /**
   * Opens the file, or makes it, checks it and brings it to the newest version. A migration may write to the files of
   * artifacts. Throws STORE_CORRUPT, STORE_NOT_WRITABLE, STORE_TOO_NEW, STORE_IN_USE, STORE_FAILED.
   */
  static open(path: string, files: ArtifactFiles): StoreFile {
    const onDisk = path !== ":memory:";
    let database: DatabaseSync | undefined;
    let lock: Disposable | undefined;
    try {
      if (onDisk) {
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
        lock = takeLock(path);
      }
      database = new DatabaseSync(path);
      if (onDisk) chmodSync(path, 0o600);
      prepare(database, { path, files });
    } catch (error) {
      database?.close();
      lock?.[Symbol.dispose]();
      throw storeError(error, { path, failed: "The session store cannot be opened." });
    }
    return new StoreFile(path, { database, lock, checkpoints: onDisk ? Checkpoints.start(path) : undefined });
  }

  /** Whether the file has not been disposed of. */
  get isOpen(): boolean {
    return this.#open;
  }

  /**
   * Writes what `run` does in one transaction. `bytes` is about how much that is. What fails is thrown as `storeError`, with
   * `failed` at the beginning.
   */
  write<T>({ failed, bytes = 0 }: { failed: string; bytes?: number }, run: () => T): T {
    const { database } = this;
    let value: T;
    try {
      this.#begin.run();
      try {
        value = run();
        this.#commit.run();
      } catch (error) {
        rollBack(database);
        throw error;
      }
    } catch (error) {
      throw storeError(error, { path: this.#path, failed });
    }
    this.#checkpoints?.noteWrite(bytes);
    return value;
  }

  /** Returns STORE_FAILED if the disk has less than 256 KiB, too little for a new session. Undefined: there is room. */
  findProblem(): AppError | undefined {
    if (this.#path === ":memory:") return undefined;
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    if (bavail * bsize >= NEW_SESSION_BYTES) return undefined;
    return storeError({ code: "ENOSPC" }, { path: this.#path, failed: "No session can be begun." });
  }

  /** Gives up to `pages` unused pages back to the disk. Returns whether more are left. */
  shrink({ pages }: { pages: number }): boolean {
    return this.read(() => {
      this.database.exec(`PRAGMA incremental_vacuum(${pages})`);
      // Each takes the place of another one.
      this.#checkpoints?.noteWrite(2 * pages * PAGE_BYTES);
      return this.database.prepare("PRAGMA freelist_count").get()!["freelist_count"] !== 0;
    });
  }

  /** Runs a read, and throws what fails as `storeError`. */
  read<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw storeError(error, { path: this.#path, failed: "Stored sessions cannot be read." });
    }
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.#checkpoints?.[Symbol.dispose]();
    this.database.close();
    this.#lock?.[Symbol.dispose]();
  }
}

/** Whatever else two hosts would do to each other: what is known of a live session is in the memory of one. */
function takeLock(path: string): ExclusiveLock {
  let lock: ExclusiveLock | undefined;
  try {
    lock = ExclusiveLock.take(`${path}.lock`);
  } catch (error) {
    // What keeps it from being taken keeps the store from being opened, and is told as that.
    throw error instanceof AppError ? error.cause : error;
  }
  if (lock !== undefined) return lock;
  throw new AppError("STORE_IN_USE", `Another process is using ${path}.`, {
    help: "End the other claudecluster, or set CLAUDECLUSTER_STATE_DIR to another directory.",
    metadata: { path },
  });
}

function rollBack(database: DatabaseSync): void {
  try {
    database.exec("ROLLBACK");
  } catch {
    // On a full disk SQLite has rolled back by itself. Old releases of Node do not say whether it has.
  }
}

function prepare(database: DatabaseSync, { path, files }: { path: string; files: ArtifactFiles }): void {
  const get = (pragma: string) => database.prepare(`PRAGMA ${pragma}`).get()?.[pragma];
  database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  // Has to come before the first table is made.
  if (get("page_count") === 0) database.exec("PRAGMA auto_vacuum = INCREMENTAL");
  database.exec(
    `PRAGMA journal_mode = WAL;
     PRAGMA synchronous = NORMAL;
     PRAGMA journal_size_limit = ${LOG_BYTES};
     PRAGMA wal_autocheckpoint = ${LOG_PAGES};
     PRAGMA cache_size = -${CACHE_KIB};`,
  );
  check(database, path);
  migrate(database, { path, files });
  if (get("auto_vacuum") === INCREMENTAL) return;
  try {
    database.exec("PRAGMA auto_vacuum = INCREMENTAL; VACUUM;");
  } catch {
    // A file of an older version keeps its size until there is room, and time, to write it anew.
  }
}

function check(database: DatabaseSync, path: string): void {
  if (database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'session'").get() === undefined) return;
  // What is damaged elsewhere in a large file shows when it is read.
  const whole = path === ":memory:" || statSync(path).size <= CHECKED_BYTES;
  const [row] = database.prepare(whole ? "PRAGMA quick_check(1)" : "PRAGMA quick_check('session')").all();
  const finding = String(row?.["quick_check"]);
  if (finding !== "ok") throw Object.assign(new Error(finding), { errcode: 11 });
}
