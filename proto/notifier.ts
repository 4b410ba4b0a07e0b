/** Wakes whoever waits for a change. What has changed is for the waiter to look at: it asks again each time that it waits. */
export class Notifier {
  readonly #waiters = new Set<() => void>();

  /** Wakes all that wait now. */
  notify(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  /**
   * Resolves true at the next `notify`, false on an abort or after `timeoutMs`, of both of which there are none by
   * default. Never rejects.
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
