/** A container that is paused, or a machine that sleeps, is not a host that is gone: at most this is counted at a time. */
const STEP_MS = 1_000;

export interface HostPresenceOptions {
  /** Time in which this process ran and no host was there. */
  timeoutMs: number;
  /** Called when no host has been there for the time; again each time it happens anew. */
  onAbsent(): void;
}

/** Watches whether a host is there: somebody who stores the events or takes connections. */
export class HostPresence {
  readonly #options: HostPresenceOptions;
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: HostPresenceOptions) {
    this.#options = options;
    this.#update();
  }

  get present(): boolean {
    return this.#count > 0;
  }

  /** Counts somebody in (true) or out (false). */
  change(entered: boolean): void {
    this.#count += entered ? 1 : -1;
    this.#update();
  }

  /** Somebody is there until the hold is disposed of. */
  stay(): Disposable {
    this.change(true);
    return { [Symbol.dispose]: () => this.change(false) };
  }

  /** No absence is reported any more. */
  close(): void {
    this.#closed = true;
    this.#update();
  }

  #update(): void {
    clearTimeout(this.#timer);
    if (this.present || this.#closed) return;
    this.#countDown(this.#options.timeoutMs);
  }

  #countDown(leftMs: number): void {
    const stepMs = Math.min(leftMs, STEP_MS);
    const step = () => (leftMs > stepMs ? this.#countDown(leftMs - stepMs) : this.#options.onAbsent());
    this.#timer = setTimeout(step, stepMs);
  }
}
