import type { Container, CreateProgress } from "../runtime/runtime.ts";
import type { EnterOptions } from "./container-queue.ts";
import type { Preparation, Prepared } from "./preparation.ts";
import type { SessionStart } from "./session-starts.ts";

/** Calls about a container while it is made. */
export interface LeaseOptions extends Pick<EnterOptions, "signal" | "onPosition"> {
  /** Called with every step, in the runtime's words. */
  onProgress: (progress: CreateProgress) => void;
  /** Returns the supply that the container is to have, once there is a place for it. Default: none. */
  supply?: ((options: Pick<LeaseOptions, "signal" | "onProgress">) => Promise<string | undefined>) | undefined;
  /** What a container is prepared with that may be taken. Default: none may, it is made. */
  preparation?: Preparation | undefined;
  /** Called with what is waited for while the runtime is away, and with nothing once it goes on. */
  onWaiting?: ((reason: string) => void) | undefined;
}

type CreateOptions = Omit<LeaseOptions, "onPosition" | "preparation">;

/** What a lease has where its container had been prepared. */
export interface Taken {
  prepared: Prepared;
  /** Time since it was ready (ms). */
  ageMs: number;
}

/** What a lease is made of. */
interface LeaseParts {
  container: Container;
  place: Disposable;
  taken?: Taken | undefined;
  start: SessionStart;
  create: (options: CreateOptions) => Promise<Container>;
}

/**
 * Container, and its place among those that run. Disposing of the lease gives the place back. Before that its holder
 * disposes of the container, or leaves it to the next host.
 */
export class Lease implements Disposable {
  readonly #parts: LeaseParts;
  #container: Container;
  #taken: Taken | undefined;

  constructor(parts: LeaseParts) {
    this.#parts = parts;
    this.#container = parts.container;
    this.#taken = parts.taken;
  }

  /** What had been prepared in its container. Undefined: nothing, it was made for this lease. */
  get taken(): Taken | undefined {
    return this.#taken;
  }

  get container(): Container {
    return this.#container;
  }

  /** Handle of the container for `Containers.resume`, valid after a restart of the host. */
  get handle(): string {
    return JSON.stringify(this.#container.ref);
  }

  /** Makes another container in the same place. The one before must have been removed. */
  async replace(options: CreateOptions): Promise<void> {
    this.#dropTaken();
    this.#container = await this.#parts.create(options);
  }

  /** Notes that its session has begun, and needs the processors less than before. */
  begun(): void {
    this.#parts.start.begun({ taken: this.#taken !== undefined });
  }

  #dropTaken(): void {
    this.#taken?.prepared[Symbol.dispose]();
    this.#taken = undefined;
  }

  [Symbol.dispose](): void {
    this.#dropTaken();
    this.#parts.place[Symbol.dispose]();
    this.#parts.start[Symbol.dispose]();
  }
}
