import { freemem } from "node:os";
import type { Logger } from "pino";
import { AppError, asAppError } from "../../proto/index.ts";
import { raceSignal } from "../runtime/race-signal.ts";
import type { Container, ContainerRef, ContainerShape, Runtime, RuntimeCapacity } from "../runtime/runtime.ts";
import { sleep } from "../sleep.ts";
import { ContainerQueue, type QueueLimits, queueLimits } from "./container-queue.ts";
import { checkCapacity } from "./container-shape.ts";
import type { OwnImage } from "./own-image.ts";
import { Lease, type LeaseOptions } from "./lease.ts";
import { Pool, type PoolStatus } from "./pool.ts";
import { RuntimeWatch } from "./runtime-watch.ts";
import { Sweep } from "./sweep.ts";
import { TIMEOUTS } from "./timeouts.ts";

/** On a smaller machine the memory of a container that nobody uses would be missed. */
const MIN_WARM_BYTES = 8 * 1024 ** 3;
const MIN_FREE_BYTES = 1024 ** 3;

/** Runtime whose containers are leased, and their limits. */
export interface ContainersOptions {
  runtime: Runtime;
  /** Handles of the leases that somebody may resume. Their containers are not swept. */
  handles: () => Iterable<string>;
  /** Limits for what runs at once. Default: what the runtime's machine bears. */
  limits?: Partial<QueueLimits> | undefined;
  /** Images that are made when they are needed. Default: none. */
  images?: OwnImage;
  /** Number of containers that are kept prepared once a session has run. Default: 1 on a machine with 8 GiB, otherwise 0. */
  warm?: number | undefined;
  /** Returns how much memory this machine has left (bytes). Default: what Linux says; other systems count their caches as used. */
  freeBytes?: () => number;
  logger: Logger;
}

interface ContainersParts {
  runtime: Runtime;
  queue: ContainerQueue;
  watch: RuntimeWatch;
  sweep: Sweep;
  pool: Pool;
  images: OwnImage | undefined;
  closing: AbortController;
}

/** What somebody who resumes a lease is told meanwhile. */
type ResumeOptions = Pick<LeaseOptions, "signal" | "onWaiting" | "preparation">;
type CreateOptions = Omit<LeaseOptions, "onPosition" | "preparation">;

/** Containers of a runtime, to be leased: one queue, one state of health and one sweep for all of them. */
export class Containers implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #queue: ContainerQueue;
  readonly #watch: RuntimeWatch;
  readonly #sweep: Sweep;
  readonly #pool: Pool;
  readonly #images: OwnImage | undefined;
  readonly #closing: AbortController;
  /** Nobody is admitted before the runtime has been looked at, and what a host before this one left is gone. */
  #starting: Promise<unknown> | undefined;

  private constructor({ runtime, queue, watch, sweep, pool, images, closing }: ContainersParts) {
    this.#runtime = runtime;
    this.#queue = queue;
    this.#watch = watch;
    this.#sweep = sweep;
    this.#pool = pool;
    this.#images = images;
    this.#closing = closing;
  }

  /** Begins to look at the runtime and to sweep. Both end when it is disposed of. */
  static start({
    runtime,
    handles,
    limits,
    images,
    warm,
    freeBytes = freeOnLinux,
    logger,
  }: ContainersOptions): Containers {
    const closing = new AbortController();
    const { signal } = closing;
    const queue = new ContainerQueue({ ...queueLimits({}), ...limits });
    const onCapacity = (capacity: RuntimeCapacity) => (queue.limits = { ...queueLimits(capacity), ...limits });
    const watch = RuntimeWatch.start({ runtime, queue, signal, logger, onCapacity });
    const blocked = () => watch.problem !== undefined;
    const size = () => warm ?? ((watch.capacity.memoryBytes ?? 0) < MIN_WARM_BYTES ? 0 : 1);
    const pool = new Pool({ runtime, queue, size, blocked, short: () => freeBytes() < MIN_FREE_BYTES, logger });
    const held = () => new Set([...pool.held, ...[...handles()].map((handle) => readHandle(handle).id)]);
    const sweep = Sweep.start(runtime, { signal, logger, held });
    const swept = raceSignal(sweep.firstLook, AbortSignal.timeout(TIMEOUTS.firstSweepMs)).catch(() => {});
    const containers = new Containers({ runtime, queue, watch, sweep, pool, images, closing });
    const starting = Promise.all([watch.firstLook, swept]).finally(() => (containers.#starting = undefined));
    starting.catch(() => {}); // Told to whoever waits for it.
    containers.#starting = starting;
    return containers;
  }

  /**
   * State of the queue and the runtime. `maxRunning` is infinite if nothing bounds it. `problem` is the runtime's, if
   * it is known to have one.
   */
  status(): { queuedCount: number; maxRunning: number; problem: string | undefined; pool: PoolStatus } {
    const { waitingCount: queuedCount, limits } = this.#queue;
    const { maxRunning } = limits;
    return { queuedCount, maxRunning, problem: this.#watch.problem, pool: this.#pool.status() };
  }

  /** Checks that a container of this shape can ever run here, as far as is known. Throws an INVALID_ARGUMENT error. */
  check(shape: ContainerShape): void {
    checkCapacity(shape, this.#watch.capacity);
  }

  /**
   * Takes a container that was prepared, or waits for a place and makes one. Failures by chance are tried again. Rejects with
   * the runtime's error, or the signal's reason.
   */
  async lease(shape: ContainerShape, { onPosition, preparation, ...options }: LeaseOptions): Promise<Lease> {
    const { signal } = options;
    if (this.#starting !== undefined) await raceSignal(this.#starting, signal);
    const start = this.#pool.begin();
    const create = (how: CreateOptions) => this.#create({ ...shape, prepares: preparation?.prepares }, how);
    try {
      const { won, miss } = await this.#pool.claim(shape, preparation, { signal });
      if (won !== undefined) return new Lease({ ...won, start, create });
      const place = await this.#queue.enter({ memoryBytes: shape.memoryBytes, signal, onPosition });
      try {
        if (miss !== undefined) options.onProgress({ phase: "pool", message: `No prepared container: ${miss}.` });
        return new Lease({ container: await create(options), place, start, create });
      } catch (error) {
        place[Symbol.dispose]();
        throw error;
      }
    } catch (error) {
      start[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Takes up a lease that an earlier host left, as soon as the runtime answers. Undefined: its container is gone.
   * Throws RUNTIME_DIFFERS if this host has another runtime.
   */
  async resume(handle: string, shape: ContainerShape, options: ResumeOptions): Promise<Lease | undefined> {
    const ref = readHandle(handle);
    if (ref.runtime !== this.#runtime.name) throw runtimeDiffers(ref, this.#runtime.name);
    const container = await this.#adopt(ref, options);
    if (container === undefined) return undefined;
    const place = this.#queue.take(shape.memoryBytes);
    if (options.preparation !== undefined) this.#pool.want(shape, options.preparation);
    const start = this.#pool.begin();
    start.begun({ taken: false });
    return new Lease({ container, place, start, create: (how) => this.#create(shape, how) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("the host is shutting down"));
    await this.#pool[Symbol.asyncDispose]();
    await this.#sweep.over;
  }

  async #create(shape: ContainerShape, options: CreateOptions): Promise<Container> {
    const { signal, onProgress, onWaiting } = options;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#images?.provide(shape.image, { signal, onProgress });
        const supply = await options.supply?.({ signal, onProgress });
        const supplied = supply === undefined ? shape : { ...shape, supply };
        const container = await this.#runtime.create(supplied, { signal, onProgress });
        this.#watch.succeeded();
        return container;
      } catch (error) {
        const known = asAppError(error);
        if (known.reason === "IMAGE_NOT_FOUND" && this.#images?.lost(shape.image) === true && attempt === 1) continue;
        const away = known.reason === "RUNTIME_UNAVAILABLE";
        const attempts = away ? TIMEOUTS.createAttemptsWhileAway : TIMEOUTS.createAttempts;
        if (signal.aborted || !known.retryable || attempt >= attempts) throw error;
        onProgress({ phase: "retry", message: `${known.message} It is tried again.` });
        if (away) await waiting(known, this.#watch.recovered(known, signal), onWaiting);
        else await sleep(TIMEOUTS.createRetryMs * 2 ** (attempt - 1), signal);
      }
    }
  }

  /** Asks again, once the runtime is back, for as long as that is away. */
  async #adopt(ref: ContainerRef, { signal, onWaiting }: ResumeOptions): Promise<Container | undefined> {
    for (;;) {
      try {
        return await this.#runtime.adopt(ref, { signal });
      } catch (error) {
        const known = asAppError(error);
        if (known.reason !== "RUNTIME_UNAVAILABLE" || signal.aborted) throw error;
        await waiting(known, this.#watch.returned(known, signal), onWaiting);
      }
    }
  }
}

/** See `available` in https://man7.org/linux/man-pages/man5/proc_meminfo.5.html: caches that can go count as free. */
function freeOnLinux(): number {
  return process.platform === "linux" ? freemem() : Infinity;
}

function readHandle(handle: string): ContainerRef {
  return JSON.parse(handle) as ContainerRef;
}

/** Tells what is waited for, as long as it is. */
async function waiting(error: AppError, returned: Promise<void>, onWaiting?: (reason: string) => void): Promise<void> {
  onWaiting?.(error.toSentence());
  try {
    await returned;
  } finally {
    onWaiting?.("");
  }
}

function runtimeDiffers({ runtime, id }: ContainerRef, own: string): AppError {
  return new AppError(
    "RUNTIME_DIFFERS",
    `The container ${id} is of the runtime "${runtime}", and this host has "${own}".`,
    {
      metadata: { container: id },
      help: "Start the host with the runtime that it had.",
    },
  );
}
