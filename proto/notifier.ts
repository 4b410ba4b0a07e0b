/**
 * Wake-up for whoever waits for a change. It carries no value: after each wake-up the waiter looks at what has changed.
 */
export class Notifier {
  /**
   * Not a Set: one that is cleared, or shrinks, leads to the one after it, so that once the garbage collector has moved one to
   * the old objects, it keeps all that ever waited until it looks through those.
   */
  #waiters: (() => void)[] = [];

  /** Wakes all that wait at this moment. */
  notify(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  /**
   * Resolves with true at the next `notify`, with false on an abort or after `timeoutMs`. Default: no signal, no
   * timeout. Never rejects.
   */
  next({ signal, timeoutMs }: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<boolean> {
    if (signal?.aborted === true) return Promise.resolve(false);
    return new Promise((resolve) => {
      if (signal === undefined && timeoutMs === undefined) {
        this.#waiters.push(() => resolve(true));
        return;
      }
      const settle = (changed: boolean) => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", giveUp);
        resolve(changed);
      };
      const wake = () => settle(true);
      const giveUp = () => {
        this.#waiters = this.#waiters.filter((waiter) => waiter !== wake);
        settle(false);
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(giveUp, timeoutMs);
      signal?.addEventListener("abort", giveUp, { once: true });
      this.#waiters.push(wake);
    });
  }
}
