/** Tasks that nobody waits for until the end. */
export class BackgroundTasks {
  readonly #tasks = new Set<Promise<void>>();
  readonly #onError: (error: unknown) => void;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  add(work: Promise<unknown>): void {
    const task = work.then(() => {}, this.#onError).finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  /** Resolves once all tasks are done, those that are added meanwhile included. */
  async settled(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }
}
