import { setTimeout as delay } from "node:timers/promises";

/** Waits. Rejects with the signal's reason on an abort. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}

/** Waits, at most until an abort. Never rejects: whoever goes on looks at the signal. */
export async function rest(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal && { signal }).catch(() => {});
}
