import { Notifier } from "../../proto/index.ts";

/** Queue as an async iterable with one reader, for the request side of a bidi call. It has no limit. */
export class AsyncQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #ended = false;
  readonly #changed = new Notifier();

  /** Adds an item. After `end` it is ignored. */
  push(item: T): void {
    if (this.#ended) return;
    this.#items.push(item);
    this.#changed.notify();
  }

  /** Ends the queue: the reader finishes after the items that are in it. */
  end(): void {
    this.#ended = true;
    this.#changed.notify();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, undefined> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) yield item;
      else if (this.#ended) return;
      else await this.#changed.next();
    }
  }
}
