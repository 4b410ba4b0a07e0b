/**
 * Runs several things at once and returns all their results. If one fails, the others are aborted and waited for, and
 * the first failure is thrown: nothing is left running.
 */
export async function together<T extends readonly Promise<unknown>[]>(
  signal: AbortSignal,
  start: (signal: AbortSignal) => readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const failed = new AbortController();
  const running = start(AbortSignal.any([signal, failed.signal])).map(async (work) => {
    try {
      return await work;
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  await Promise.allSettled(running);
  if (failed.signal.aborted) throw failed.signal.reason;
  return (await Promise.all(running)) as { -readonly [K in keyof T]: Awaited<T[K]> };
}
