/**
 * Yields what two sources yield, as it comes, and ends when the first one ends. Neither is asked
 * for more than one value ahead. A failure of either ends it.
 */
export async function* mergeUntilFirstEnds<T>(first: AsyncIterable<T>, second: AsyncIterable<T>): AsyncGenerator<T> {
  const waiting: { value: T; taken: () => void }[] = [];
  let wake = () => {};
  let ended = false;
  let failure: { error: unknown } | undefined;

  async function pump(source: AsyncIterable<T>): Promise<void> {
    for await (const value of source) {
      if (ended) return;
      await new Promise<void>((taken) => {
        waiting.push({ value, taken });
        wake();
      });
      if (ended) return;
    }
  }
  const end = (error?: { error: unknown }) => {
    failure ??= error;
    ended = true;
    wake();
  };
  pump(first).then(
    () => end(),
    (error: unknown) => end({ error }),
  );
  pump(second).catch((error: unknown) => end({ error }));

  try {
    for (;;) {
      const next = waiting.shift();
      if (next !== undefined) {
        yield next.value;
        next.taken();
      } else if (ended) {
        if (failure !== undefined) throw failure.error;
        return;
      } else {
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
  } finally {
    ended = true;
    for (const { taken } of waiting) taken();
  }
}
