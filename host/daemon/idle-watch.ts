/** Looks are taken at most this often and at least this often (ms). */
const SHORTEST_MS = 50;
const LONGEST_MS = 30_000;

/**
 * Resolves once nothing has been busy for `idleMs`. Never rejects, and never resolves after the signal. It looks now
 * and then, so it may be a little late.
 */
export function idleFor(idleMs: number, options: { busy: () => boolean; signal: AbortSignal }): Promise<void> {
  const { busy, signal } = options;
  /** What cannot be told counts as busy. */
  const isBusy = () => {
    try {
      return busy();
    } catch {
      return true;
    }
  };
  const intervalMs = Math.min(Math.max(idleMs / 4, SHORTEST_MS), LONGEST_MS);
  return new Promise((resolve) => {
    let lastBusyMs = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const look = () => {
      if (signal.aborted) return;
      if (isBusy()) lastBusyMs = performance.now();
      if (performance.now() - lastBusyMs >= idleMs) resolve();
      else timer = setTimeout(look, intervalMs);
    };
    signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
    look();
  });
}
