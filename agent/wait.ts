import { afterRunning, afterStandstill } from "../proto/index.ts";

/** Resolves with true after `ms` of this process's running time, with false as soon as the signal is aborted. */
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

/**
 * Resolves with whether a promise came within `ms`. The promise must not reject. An aborted signal ends the wait with
 * false.
 */
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

/** Time that something may stand still, and how it is told from progress. */
export interface Patience {
  /** Time of standstill that is borne (ms), counted while this process runs. */
  ms: number;
  /** Returns a new value whenever something has moved. */
  progress: () => unknown;
}

/**
 * Calls back once something has stood still for `ms`, or has taken five times as long altogether. Returns the function
 * that cancels it.
 */
function afterPatience({ ms, progress }: Patience, onElapsed: () => void): () => void {
  const cancels = [afterStandstill({ ms, progress }, onElapsed), afterRunning(MAX_TIMES * ms, onElapsed)];
  return () => cancels.forEach((cancel) => cancel());
}

/** Runs work with a signal that is aborted when patience ends, or with the given one. */
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

/**
 * Resolves with whether a promise came before patience ended. The promise must not reject. An aborted signal ends the
 * wait with false.
 */
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
