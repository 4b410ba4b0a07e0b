import { Worker } from "node:worker_threads";

/** The log is copied into the file whenever about this much has been written (bytes). */
const EVERY_BYTES = 16 * 1024 * 1024;
/** What was written last is copied and the log emptied after this long at most (ms). */
const REST_MS = 30_000;
/**
 * A log of this size is begun anew (pages), for which writers have to wait until the disk has it all:
 * some 30 ms. At a thousand events a second that is once in ten seconds.
 */
const RESTART_PAGES = 32 * 1024;
/** A transaction writes a few pages of 4 KiB, however small it is. */
const TRANSACTION_BYTES = 12 * 1024;
/** The thread gets this long to let go of the file (ms). */
const CLOSE_MS = 2000;

/** Places in the memory that is shared with the thread: counts its orders, below 0 to end; something was written; it has ended. */
const ORDER = 0;
const DIRTY = 1;
const CLOSED = 2;

const THREAD = `
const { workerData: { path, memory } } = require("node:worker_threads");
const { DatabaseSync } = require("node:sqlite");
const shared = new Int32Array(memory);
let database;
function checkpoint(mode) {
  try {
    database ??= new DatabaseSync(path);
    database.exec("PRAGMA busy_timeout = 100; PRAGMA synchronous = NORMAL");
    return database.prepare("PRAGMA wal_checkpoint(" + mode + ")").get().log;
  } catch {
    // The next one tries again. That a disk fails is said by those who write.
    return 0;
  }
}
for (let order = 0; ; ) {
  const rested = Atomics.wait(shared, ${ORDER}, order, ${REST_MS}) === "timed-out";
  order = Atomics.load(shared, ${ORDER});
  if (order < 0) break;
  if (rested) {
    if (Atomics.exchange(shared, ${DIRTY}, 0) === 1) {
      checkpoint("PASSIVE");
      checkpoint("TRUNCATE");
    }
  } else if (checkpoint("PASSIVE") > ${RESTART_PAGES}) {
    // What was written meanwhile, so that writers have to wait for little.
    checkpoint("PASSIVE");
    checkpoint("RESTART");
  }
}
database?.close();
Atomics.store(shared, ${CLOSED}, 1);
Atomics.notify(shared, ${CLOSED});
`;

/**
 * Checkpoints of a file's write-ahead log, in a thread of their own. They take tens of milliseconds for the disk, which
 * would hold up the host. Disposing of them ends the thread, within two seconds.
 */
export class Checkpoints implements Disposable {
  readonly #shared: Int32Array;
  readonly #worker: Worker;
  #bytes = 0;

  private constructor(worker: Worker, shared: Int32Array) {
    this.#worker = worker;
    this.#shared = shared;
  }

  /** Starts the thread for a file. */
  static start(path: string): Checkpoints {
    const shared = new Int32Array(new SharedArrayBuffer(12));
    const workerData = { path, memory: shared.buffer };
    const worker = new Worker(THREAD, { eval: true, execArgv: [], env: {}, workerData });
    worker.unref();
    // Without the thread the log is emptied by the writer, at a larger size.
    worker.on("error", () => {});
    worker.on("exit", () => Atomics.store(shared, CLOSED, 1));
    return new Checkpoints(worker, shared);
  }

  /** Notes a transaction of about this size. A checkpoint follows after 16 MiB of them, or 30 seconds. */
  noteWrite(bytes: number): void {
    Atomics.store(this.#shared, DIRTY, 1);
    this.#bytes += bytes + TRANSACTION_BYTES;
    if (this.#bytes < EVERY_BYTES) return;
    this.#bytes = 0;
    Atomics.add(this.#shared, ORDER, 1);
    Atomics.notify(this.#shared, ORDER);
  }

  [Symbol.dispose](): void {
    Atomics.store(this.#shared, ORDER, -1);
    Atomics.notify(this.#shared, ORDER);
    Atomics.wait(this.#shared, CLOSED, 0, CLOSE_MS);
    void this.#worker.terminate(); // has let go of the file, or never will
  }
}
