/** Place where whatever comes by waits while it is held. */
export class Hold {
  #held: (() => Promise<void>) | undefined;

  /** Holds what comes by until it is released. `matched` resolves at the first that waits. */
  hold(): { matched: Promise<void>; release(): void } {
    const { promise: passing, resolve: release } = Promise.withResolvers<undefined>();
    const { promise: matched, resolve: onMatch } = Promise.withResolvers<undefined>();
    this.#held = async () => {
      onMatch(undefined);
      await passing;
    };
    return {
      matched: matched.then(() => {}),
      release: () => {
        this.#held = undefined;
        release(undefined);
      },
    };
  }

  /** Resolves once nothing is held. */
  async pass(): Promise<void> {
    await this.#held?.();
  }
}
