import { afterRunning, afterStandstill } from "../proto/index.ts";

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

/** However much something moves, it is not waited for longer than so many times the time that it may stand still. */
const MAX_TIMES = 5;

export interface Patience {
  /** How long it may stand still, counted in the time in which this process ran. */
  ms: number;
  /** Another value each time than before where something has moved. */
  progress: () => unknown;
}

/** Calls back once something has stood still for too long, or has taken five times as long. Returns what takes it back. */
export function afterPatience({ ms, progress }: Patience, onElapsed: () => void): () => void {
  const cancels = [afterStandstill({ ms, progress }, onElapsed), afterRunning(MAX_TIMES * ms, onElapsed)];
  return () => cancels.forEach((cancel) => cancel());
}

/** Runs work, and aborts its signal too once it has stood still for too long. */
export async function patiently<T>(
  { signal, ...patience }: Patience & { signal: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const cancel = afterPatience(patience, () => late.abort());
  try {
    return await work(AbortSignal.any([signal, late.signal]));
  } finally {
    cancel();
  }
}

/** Waits for a promise that does not reject, for as long as there is progress. Returns whether it came in time. */
export async function withPatience(
  promise: Promise<unknown>,
  { signal, ...patience }: Patience & { signal: AbortSignal },
): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const giveUp = () => late.resolve(false);
  const cancel = afterPatience(patience, giveUp);
  if (signal.aborted) giveUp();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    return await Promise.race([promise.then(() => true), late.promise]);
  } finally {
    cancel();
    signal.removeEventListener("abort", giveUp);
  }
}
