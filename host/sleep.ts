import { setTimeout as delay } from "node:timers/promises";

/** Sleeps for some milliseconds. Rejects with the signal's reason on an abort. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}

/** Rests for some milliseconds, at most until an abort. Never rejects: the caller looks at the signal. */
export async function rest(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal && { signal }).catch(() => {});
}
