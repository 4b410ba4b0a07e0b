import type { Container, CreateProgress } from "../runtime/runtime.ts";
import type { EnterOptions } from "./container-queue.ts";

/** What somebody who leases a container is told meanwhile. */
export interface LeaseOptions extends Pick<EnterOptions, "signal" | "onPosition"> {
  /** Called with every step, in the runtime's own words. */
  onProgress: (progress: CreateProgress) => void;
  /** Told what is waited for while the runtime is away; with nothing once it goes on. */
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
 * A container, and its place among those that run. Disposing of the lease gives the place back; the container is its
 * holder's to dispose of before, or to leave to the next host.
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

  /** Names the container for `Containers.resume`, also after a restart of the host. */
  get handle(): string {
    return JSON.stringify(this.#container.ref);
  }

  /** Makes another container in the same place, of which the one before has been removed. */
  async replace(options: CreateOptions): Promise<void> {
    this.#container = await this.#parts.create(options);
  }

  [Symbol.dispose](): void {
    this.#parts.place[Symbol.dispose]();
  }
}
