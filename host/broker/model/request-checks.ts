import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { type CheckedRequest, checkRequest, withModel } from "./checked-request.ts";
import type { ModelPolicy } from "./model-policy.ts";

/** Order for the thread: a request to be checked, or to be written for another model. */
export type CheckOrder = { id: number; content: Uint8Array } & ({ policy: ModelPolicy } | { model: string });

/** Answer of the thread. */
export interface CheckAnswer {
  id: number;
  result: CheckedRequest | { refused: string } | { content: Uint8Array };
}

/** Bodies from this size on (bytes) go to the thread. It takes less than a millisecond to check a smaller one. */
const THREAD_BYTES = 128 * 1024;
/** The thread ends when it has had nothing to do for so long (ms): it takes some ten megabytes. */
const IDLE_MS = 60_000;
/** Most memory of the thread (MiB): several times what the largest body takes. */
const MAX_HEAP_MIB = 1024;

interface Job {
  resolve(result: CheckAnswer["result"]): void;
  reject(error: Error): void;
}

/**
 * Checks of requests' bodies. Large ones are checked in a thread, one after the other, so that the host goes on meanwhile:
 * the largest takes a third of a second. The thread is started with the first one.
 */
export class RequestChecks implements Disposable {
  readonly #jobs = new Map<number, Job>();
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #count = 0;

  /** Checks a body, which must not be used any more. Rejects if it is too much for the thread. */
  async check(content: Buffer, policy: ModelPolicy): Promise<CheckedRequest | { refused: string }> {
    if (content.length < THREAD_BYTES) return checkRequest(content, policy);
    return (await this.#order({ content, policy })) as CheckedRequest | { refused: string };
  }

  /** Writes a request for another model. The content that is given stays as it is. */
  async withModel(content: Uint8Array, model: string): Promise<Uint8Array> {
    const copy = Buffer.from(content);
    if (copy.length < THREAD_BYTES) return withModel(copy, model);
    return ((await this.#order({ content: copy, model })) as { content: Uint8Array }).content;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#idle);
    void this.#worker?.terminate();
  }

  #order(order: { content: Buffer } & ({ policy: ModelPolicy } | { model: string })): Promise<CheckAnswer["result"]> {
    clearTimeout(this.#idle);
    const worker = (this.#worker ??= this.#start());
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#jobs.set(id, { resolve, reject });
      worker.postMessage({ ...order, id } satisfies CheckOrder, [order.content.buffer as ArrayBuffer]);
    });
  }

  #start(): Worker {
    // Beside this file, or beside the bundle that it is in.
    const file = new URL(`./check-thread${extname(import.meta.url)}`, import.meta.url);
    const resourceLimits = { maxOldGenerationSizeMb: MAX_HEAP_MIB };
    const worker = new Worker(file, { execArgv: [], env: {}, resourceLimits });
    worker.unref();
    worker.on("message", ({ id, result }: CheckAnswer) => {
      this.#jobs.get(id)?.resolve(result);
      this.#jobs.delete(id);
      if (this.#jobs.size === 0) this.#idle = setTimeout(() => this.#end(worker), IDLE_MS).unref();
    });
    worker.on("error", (error) => this.#end(worker, error as Error));
    worker.on("exit", () => this.#end(worker));
    return worker;
  }

  #end(worker: Worker, error = new Error("The thread that checks requests has ended.")): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    void worker.terminate();
    for (const { reject } of this.#jobs.values()) reject(error);
    this.#jobs.clear();
  }
}

/** Checks of all sessions of this process: they share the thread. */
export const requestChecks = new RequestChecks();
