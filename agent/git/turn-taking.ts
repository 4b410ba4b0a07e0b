/** Lets one piece of work run at a time, in the order of arrival. Whoever waits can be aborted. */
export class TurnTaking {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs the work once all earlier work has ended, however it ended. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#last = promise;
    try {
      await before;
      signal.throwIfAborted();
      return await work();
    } finally {
      resolve(undefined);
    }
  }
}
