/** Far more than can be under way: an exec is started at once, or not at all. */
const MAX_HELD = 1024;

/** Execs that were created through the filter and not started yet. Each can be started once. */
export class IssuedExecs {
  readonly #ids = new Set<string>();

  /** Adds an exec. The newest thousand are kept. */
  add(id: string): void {
    this.#ids.add(id);
    if (this.#ids.size <= MAX_HELD) return;
    const [oldest] = this.#ids;
    this.#ids.delete(oldest!);
  }

  /** Removes an exec. Returns false if there is none. */
  take(id: string): boolean {
    return this.#ids.delete(id);
  }
}
