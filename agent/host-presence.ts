export interface HostPresenceOptions {
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

  /** No absence is reported any more. */
  close(): void {
    this.#closed = true;
    this.#update();
  }

  #update(): void {
    clearTimeout(this.#timer);
    if (this.present || this.#closed) return;
    this.#timer = setTimeout(() => this.#options.onAbsent(), this.#options.timeoutMs);
  }
}
