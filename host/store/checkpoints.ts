import { Worker } from "node:worker_threads";

/** The log is copied into the file whenever about this much has been written (bytes). */
const EVERY_BYTES = 4 * 1024 * 1024;
/** A log of this size is begun anew, for which writers have to wait a few milliseconds (pages). */
const RESTART_PAGES = 8192;
/** A transaction writes a few pages of 4 KiB, however small it is. */
const TRANSACTION_BYTES = 12 * 1024;
/** The thread gets this long to let go of the file (ms). */
const CLOSE_MS = 2000;

/** Places in the memory that is shared with the thread. */
const WAKE = 0;
const CLOSED = 1;

const THREAD = `
const { workerData: { path, memory } } = require("node:worker_threads");
const { DatabaseSync } = require("node:sqlite");
const shared = new Int32Array(memory);
let database;
for (let seen = 0; ; ) {
  Atomics.wait(shared, ${WAKE}, seen);
  seen = Atomics.load(shared, ${WAKE});
  if (seen < 0) break;
  try {
    database ??= new DatabaseSync(path);
    database.exec("PRAGMA busy_timeout = 100; PRAGMA synchronous = NORMAL");
    const { log } = database.prepare("PRAGMA wal_checkpoint(PASSIVE)").get();
    if (log > ${RESTART_PAGES}) database.prepare("PRAGMA wal_checkpoint(RESTART)").get();
  } catch {
    // The next one tries again. That a disk fails is said by those who write.
  }
}
database?.close();
Atomics.store(shared, ${CLOSED}, 1);
Atomics.notify(shared, ${CLOSED});
`;

/**
 * Empties a file's write-ahead log in a thread: it takes tens of milliseconds to get it to the disk,
 * in which nothing else would happen here.
 */
export class Checkpoints implements Disposable {
  readonly #shared = new Int32Array(new SharedArrayBuffer(8));
  readonly #worker: Worker;
  #bytes = 0;

  constructor(path: string) {
    const workerData = { path, memory: this.#shared.buffer };
    this.#worker = new Worker(THREAD, { eval: true, execArgv: [], env: {}, workerData });
    this.#worker.unref();
    // Without the thread the log is emptied by the writer, at a larger size.
    this.#worker.on("error", () => {});
    this.#worker.on("exit", () => Atomics.store(this.#shared, CLOSED, 1));
  }

  /** A transaction of about that size has been written. */
  noteWrite(bytes: number): void {
    this.#bytes += bytes + TRANSACTION_BYTES;
    if (this.#bytes < EVERY_BYTES) return;
    this.#bytes = 0;
    Atomics.add(this.#shared, WAKE, 1);
    Atomics.notify(this.#shared, WAKE);
  }

  [Symbol.dispose](): void {
    Atomics.store(this.#shared, WAKE, -1);
    Atomics.notify(this.#shared, WAKE);
    Atomics.wait(this.#shared, CLOSED, 0, CLOSE_MS);
    void this.#worker.terminate(); // has let go of the file, or never will
  }
}
