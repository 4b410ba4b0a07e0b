/** Lets one piece of work run at a time, in the order of arrival. */
export class TurnTaking {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Runs the work once all earlier work has ended, however it ended. When the signal aborts before that, rejects at
   * once; after that, ending is up to the work.
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
