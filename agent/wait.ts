import { afterRunning } from "../proto/index.ts";

/** Waits until this process has run for so long. Returns false at once when the signal is aborted. */
export function rest(ms: number, signal?: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (elapsed: boolean) => {
      cancel();
      signal?.removeEventListener("abort", onAbort);
      resolve(elapsed);
    };
    const onAbort = () => settle(false);
    const cancel = afterRunning(ms, () => settle(true));
    if (signal?.aborted === true) return onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Waits for a promise that does not reject, at most so long. Returns whether it came in time. */
export async function within(promise: Promise<unknown>, ms: number, signal?: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  try {
    const late = rest(ms, signal === undefined ? over.signal : AbortSignal.any([signal, over.signal])).then(
      () => false,
    );
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    over.abort();
  }
}
