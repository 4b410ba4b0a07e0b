/** Queue that runs one piece of work at a time, in the order of arrival. */
export class TurnTaking {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Runs the work once all earlier work has ended, successfully or not. Rejects at once if the signal aborts before;
   * after that it is up to the work to end.
   */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal.reason as Error);
    const turn = this.#last.then(() => {
      signal.removeEventListener("abort", onAbort);
      signal.throwIfAborted();
      return work();
    });
    this.#last = turn.catch(() => undefined);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    return await Promise.race([turn, aborted]);
  }
}
