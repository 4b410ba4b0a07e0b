import { afterRunning } from "../proto/index.ts";

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
  #cancel = () => {};
  #closed = false;

  private constructor(options: HostPresenceOptions) {
    this.#options = options;
  }

  /** Begins to watch. Nobody is there yet. */
  static watch(options: HostPresenceOptions): HostPresence {
    const presence = new HostPresence(options);
    presence.#update();
    return presence;
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
    this.#cancel();
    if (this.present || this.#closed) return;
    // A container that was paused is not without a host.
    this.#cancel = afterRunning(this.#options.timeoutMs, () => this.#options.onAbsent());
  }
}
