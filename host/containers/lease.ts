import type { Container, CreateProgress } from "../runtime/runtime.ts";
import type { EnterOptions } from "./container-queue.ts";

/** Calls about a container while it is made. */
export interface LeaseOptions extends Pick<EnterOptions, "signal" | "onPosition"> {
  /** Called with every step, in the runtime's words. */
  onProgress: (progress: CreateProgress) => void;
  /** Returns the supply that the container is to have, once there is a place for it. Default: none. */
  supply?: ((options: Pick<LeaseOptions, "signal" | "onProgress">) => Promise<string | undefined>) | undefined;
  /** Called with what is waited for while the runtime is away, and with nothing once it goes on. */
  onWaiting?: ((reason: string) => void) | undefined;
}

type CreateOptions = Omit<LeaseOptions, "onPosition">;

/** What a lease is made of. */
interface LeaseParts {
  container: Container;
  place: Disposable;
  create: (options: CreateOptions) => Promise<Container>;
}

/**
 * Container, and its place among those that run. Disposing of the lease gives the place back. Before that its holder
 * disposes of the container, or leaves it to the next host.
 */
export class Lease implements Disposable {
  readonly #parts: LeaseParts;
  #container: Container;

  constructor(parts: LeaseParts) {
    this.#parts = parts;
    this.#container = parts.container;
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
    this.#container = await this.#parts.create(options);
  }

  [Symbol.dispose](): void {
    this.#parts.place[Symbol.dispose]();
  }
}
