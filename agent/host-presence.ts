import { afterRunning } from "../proto/index.ts";

/** Absence that counts, and what it calls. */
export interface HostPresenceOptions {
  /** Time without a host (ms), counted while this process runs. */
  timeoutMs: number;
  /** Called when no host was there for that time, once for each absence. */
  onAbsent(): void;
}

/** Presence of a host: of anybody who stores the events or takes connections. */
export class HostPresence {
  readonly #options: HostPresenceOptions;
  #count = 0;
  #cancel = () => {};
  #closed = false;

  private constructor(options: HostPresenceOptions) {
    this.#options = options;
  }

  /** Begins to watch. At first nobody is there. */
  static watch(options: HostPresenceOptions): HostPresence {
    const presence = new HostPresence(options);
    presence.#update();
    return presence;
  }

  /** Whether a host is there. */
  get present(): boolean {
    return this.#count > 0;
  }

  /** Notes that somebody has come (true) or gone (false). */
  change(entered: boolean): void {
    this.#count += entered ? 1 : -1;
    this.#update();
  }

  /** Counts as present until the hold is disposed of. */
  stay(): Disposable {
    this.change(true);
    return { [Symbol.dispose]: () => this.change(false) };
  }

  /** Ends the watch: no absence is reported any more. */
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
