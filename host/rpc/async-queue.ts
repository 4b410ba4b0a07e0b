import { Notifier } from "../../proto/index.ts";

/** Turns pushes into an async iterable with one reader: the request side of a bidi call. */
export class AsyncQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #ended = false;
  readonly #changed = new Notifier();

  /** Adds an item; ignored after `end`. */
  push(item: T): void {
    if (this.#ended) return;
    this.#items.push(item);
    this.#changed.notify();
  }

  /** Lets the reader finish after what has been pushed. */
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
