/**
 * Calls a function whenever one of some signals is aborted, until it is disposed of. For whoever waits many times until the
 * same signal: a listener that comes and goes each time leaves garbage that the collector takes for old.
 */
export function onAbort(signals: readonly (AbortSignal | undefined)[], call: () => void): Disposable {
  for (const signal of signals) signal?.addEventListener("abort", call);
  return {
    [Symbol.dispose]() {
      for (const signal of signals) signal?.removeEventListener("abort", call);
    },
  };
}
