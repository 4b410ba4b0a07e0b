import type { Logger } from "pino";
import type { AppError } from "../../proto/index.ts";
import { raceSignal } from "../runtime/race-signal.ts";
import type { Runtime, RuntimeCapacity } from "../runtime/runtime.ts";
import { sleep } from "../sleep.ts";
import type { ContainerQueue } from "./container-queue.ts";
import { TIMEOUTS } from "./timeouts.ts";

/** Runtime to watch, and the queue to hold while it is down. */
export interface RuntimeWatchOptions {
  runtime: Runtime;
  queue: ContainerQueue;
  /** Signal that ends the watch. */
  signal: AbortSignal;
  logger: Logger;
  /** Called with what a healthy runtime's machine has. */
  onCapacity?: (capacity: RuntimeCapacity) => void;
}

/**
 * Watch over a runtime, shared by all who lease its containers. While the runtime is down the queue admits nobody, and
 * says why.
 */
export class RuntimeWatch {
  readonly #runtime: Runtime;
  readonly #queue: ContainerQueue;
  readonly #signal: AbortSignal;
  readonly #logger: Logger;
  readonly #onCapacity: (capacity: RuntimeCapacity) => void;
  /** It has worked before, so that it may well come back. */
  #worked = false;
  #firstLook = Promise.resolve();
  #problem: string | undefined;
  #capacity: RuntimeCapacity = {};
  #recovery: Promise<void> | undefined;

  private constructor(options: RuntimeWatchOptions) {
    this.#runtime = options.runtime;
    this.#queue = options.queue;
    this.#signal = options.signal;
    this.#logger = options.logger;
    this.#onCapacity = options.onCapacity ?? (() => {});
  }

  /** Looks at the runtime, and again while it is down. */
  static start(options: RuntimeWatchOptions): RuntimeWatch {
    const watch = new RuntimeWatch(options);
    watch.#firstLook = watch.#look();
    return watch;
  }

  /** Resolves once the runtime has been looked at. */
  get firstLook(): Promise<void> {
    return this.#firstLook;
  }

  /** Sentence on what is wrong and what to do. Undefined: nothing is known to be. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Capacity of its machine for all containers, as far as it has said. */
  get capacity(): RuntimeCapacity {
    return this.#capacity;
  }

  /** Notes that the runtime did what it was asked for. */
  succeeded(): void {
    this.#worked = true;
  }

  /**
   * Waits until a runtime that worked before works again. Rejects with the given error if it never worked, or is not
   * back in time; with the signal's reason on an abort.
   */
  async recovered(error: AppError, signal: AbortSignal): Promise<void> {
    await raceSignal(this.#firstLook, signal);
    if (!this.#worked) throw error;
    const tooLong = AbortSignal.timeout(TIMEOUTS.runtimeReturnMs);
    await this.returned(error, AbortSignal.any([signal, tooLong])).catch((reason: unknown) => {
      throw tooLong.aborted && !signal.aborted ? error : reason;
    });
  }

  /** Waits for as long as it takes until a runtime works again, for a container that exists already. */
  async returned(error: AppError, signal: AbortSignal): Promise<void> {
    this.#problem = error.toSentence();
    this.#queue.hold(this.#problem);
    this.#recovery ??= this.#probe().finally(() => (this.#recovery = undefined));
    await raceSignal(this.#recovery, signal);
  }

  /** A host that starts while there is a runtime may rely on it. */
  async #look(): Promise<void> {
    const health = await this.#runtime.check({ signal: this.#signal });
    if (!health.healthy) return;
    this.#worked = true;
    this.#onCapacity((this.#capacity = health.capacity));
  }

  /** Asks until it is healthy; ends with the host. */
  async #probe(): Promise<void> {
    this.#logger.warn({ problem: this.#problem }, "the runtime is down");
    for (;;) {
      await sleep(TIMEOUTS.runtimeProbeMs, this.#signal);
      const health = await this.#runtime.check({ signal: this.#signal });
      if (health.healthy) {
        this.#onCapacity((this.#capacity = health.capacity));
        break;
      }
      this.#problem = `${health.message} ${health.help}`.trim();
      this.#queue.hold(this.#problem);
    }
    this.#problem = undefined;
    this.#queue.release();
    this.#logger.warn("the runtime is back");
  }
}
