/**
 * Wake-up for whoever waits for a change. It carries no value: after each wake-up the waiter looks at what has changed.
 */
export class Notifier {
  readonly #waiters = new Set<() => void>();

  /** Wakes all that wait at this moment. */
  notify(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  /**
   * Resolves with true at the next `notify`, with false on an abort or after `timeoutMs`. Default: no signal, no
   * timeout. Never rejects.
   */
  next({ signal, timeoutMs }: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<boolean> {
    if (signal?.aborted === true) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (changed: boolean) => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", giveUp);
        this.#waiters.delete(wake);
        resolve(changed);
      };
      const wake = () => settle(true);
      const giveUp = () => settle(false);
      const timer = timeoutMs === undefined ? undefined : setTimeout(giveUp, timeoutMs);
      signal?.addEventListener("abort", giveUp, { once: true });
      this.#waiters.add(wake);
    });
  }
}
