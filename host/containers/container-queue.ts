import type { RuntimeCapacity } from "../runtime/runtime.ts";

/** Somebody who waits for a place. */
interface Entry {
  memoryBytes: number;
  admit(): void;
  tell(place: { position: number; reason: string }): void;
  /** What it was told last. */
  position: number;
  reason: string;
}

/** Each admission changes every place, and each change is an event to store: only these are told of all of them. */
const NEAR_COUNT = 20;
/** The others are told of several changes together (ms). */
const FAR_MS = 1_000;

/** Limits for what runs at once. */
export interface QueueLimits {
  maxRunning: number;
  /** Sum of the memory limits of all that run. One container alone may exceed it. */
  maxMemoryBytes: number;
}

/** Wish of somebody who waits, and what is called meanwhile. */
export interface EnterOptions {
  memoryBytes: number;
  signal: AbortSignal;
  /**
   * Called when the place in the queue, or the reason to wait, has changed: at most once a second far behind, and never
   * for who is admitted at once.
   */
  onPosition(place: { position: number; reason: string }): void;
}

/** Place of a container that no session has yet. Disposing of it gives it back. */
export interface SparePlace extends Disposable {
  /** Makes it a session's: it is not taken back any more. */
  keep(): Disposable;
}

/** Queue for containers, first come, first served: they run while there is room. */
export class ContainerQueue {
  #limits: QueueLimits;
  readonly #waiting: Entry[] = [];
  /** What takes back a spare place, the oldest first. */
  readonly #spares = new Set<() => void>();
  #running = 0;
  #memoryBytes = 0;
  #holdReason: string | undefined;
  #farTimer: NodeJS.Timeout | undefined;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** Limits for what runs at once. New ones leave alone what runs already. */
  get limits(): QueueLimits {
    return this.#limits;
  }

  set limits(limits: QueueLimits) {
    this.#limits = limits;
    this.#advance();
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Waits for a place, which its holder disposes of. Rejects with the signal's reason. */
  async enter({ memoryBytes, signal, onPosition }: EnterOptions): Promise<Disposable> {
    signal.throwIfAborted();
    return await new Promise<Disposable>((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1);
        reject(signal.reason as Error);
        this.#advance();
      };
      const entry: Entry = {
        memoryBytes,
        tell: onPosition,
        position: 0,
        reason: "",
        admit: () => {
          signal.removeEventListener("abort", onAbort);
          resolve(this.take(memoryBytes));
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(entry);
      this.#advance();
    });
  }

  /** Takes a place at once, for a container that runs already. */
  take(memoryBytes: number): Disposable {
    this.#running += 1;
    this.#memoryBytes += memoryBytes;
    let given = true;
    return {
      [Symbol.dispose]: () => {
        if (!given) return;
        given = false;
        this.#running -= 1;
        this.#memoryBytes -= memoryBytes;
        this.#advance();
      },
    };
  }

  /**
   * Takes a place at once that a session may take back whenever it would have to wait otherwise: `onRecalled` is called,
   * and the place is gone. Undefined: there is no room to spare.
   */
  takeSpare(memoryBytes: number, onRecalled: () => void): SparePlace | undefined {
    if (this.#waiting.length > 0 || this.#holdReason !== undefined || !this.#hasRoom(memoryBytes)) return undefined;
    const place = this.take(memoryBytes);
    const recall = () => {
      this.#spares.delete(recall);
      onRecalled();
      place[Symbol.dispose]();
    };
    this.#spares.add(recall);
    const keep = () => {
      this.#spares.delete(recall);
      return place;
    };
    return { keep, [Symbol.dispose]: () => keep()[Symbol.dispose]() };
  }

  /** Admits nobody until `release`. Those who wait are told why. */
  hold(reason: string): void {
    this.#holdReason = reason;
    this.#advance();
  }

  /** Ends `hold`. */
  release(): void {
    this.#holdReason = undefined;
    this.#advance();
  }

  #advance(): void {
    for (let first; (first = this.#waiting[0]) !== undefined;) {
      const [recall] = this.#spares;
      if (this.#fits(first)) this.#waiting.shift()!.admit();
      else if (this.#holdReason === undefined && recall !== undefined) recall();
      else break;
    }
    this.#tell(({ position }, index) => index < NEAR_COUNT || position === 0);
  }

  /** Tells who does not know their place yet; the others a little later. */
  #tell(isDue: (entry: Entry, index: number) => boolean): void {
    const reason = this.#holdReason ?? "";
    for (const [index, entry] of this.#waiting.entries()) {
      if (entry.position === index + 1 && entry.reason === reason) continue;
      if (!isDue(entry, index)) {
        if (this.#farTimer !== undefined) continue;
        this.#farTimer = setTimeout(() => {
          this.#farTimer = undefined;
          this.#tell(() => true);
        }, FAR_MS).unref();
        continue;
      }
      entry.position = index + 1;
      entry.reason = reason;
      entry.tell({ position: entry.position, reason });
    }
  }

  #fits({ memoryBytes }: Entry): boolean {
    if (this.#holdReason !== undefined) return false;
    return this.#running === 0 || this.#hasRoom(memoryBytes);
  }

  #hasRoom(memoryBytes: number): boolean {
    const { maxRunning, maxMemoryBytes } = this.limits;
    return this.#running < maxRunning && this.#memoryBytes + memoryBytes <= maxMemoryBytes;
  }
}

/**
 * Returns what a machine bears: three quarters of its memory, and four containers for each CPU, since a Claude that
 * waits for its model needs next to none. What a runtime does not say bounds nothing: such a runtime queues by itself.
 */
export function queueLimits({ memoryBytes = Infinity, cpuCount = Infinity }: RuntimeCapacity): QueueLimits {
  return { maxRunning: Math.max(1, cpuCount * 4), maxMemoryBytes: memoryBytes * 0.75 };
}
