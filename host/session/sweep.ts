import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { ContainerRef, Runtime } from "../runtime/runtime.ts";

/** Between looks; what is to go must have been seen twice, so that a create has time to be answered. */
const INTERVAL_MS = 20_000;
const ABANDONED_INTERVAL_MS = 3_600_000;
/** A host that is only away for a while comes back to what it left. */
const ABANDONED_MS = 7 * 86_400_000;

export interface SweepOptions {
  signal: AbortSignal;
  logger: Logger;
  isLive: (sessionId: string) => boolean;
  /** Default 20 s. */
  intervalMs?: number;
  /** How long ago a container of no known host has ended that is removed. Default a week. */
  abandonedMs?: number;
}

/**
 * Removes, until the signal, the containers of ours whose session is not live: left by a removal
 * that failed, or by a create whose reply was lost. At first and every hour also what hosts have left
 * that do not come back.
 */
export async function sweepContainers(runtime: Runtime, options: SweepOptions): Promise<void> {
  const { signal, logger, isLive, intervalMs = INTERVAL_MS } = options;
  let before = new Set<string>();
  let nextAbandonedMs = 0;
  while (!signal.aborted) {
    if (performance.now() >= nextAbandonedMs) {
      await removeAbandoned(runtime, options);
      nextAbandonedMs = performance.now() + ABANDONED_INTERVAL_MS;
    }
    try {
      const orphans = (await runtime.list({ signal })).filter(({ sessionId }) => !isLive(sessionId));
      for (const ref of orphans.filter(({ id }) => before.has(id))) await remove(runtime, ref, { signal, logger });
      before = new Set(orphans.map(({ id }) => id));
    } catch (error) {
      // Without an engine there is nothing to sweep; sessions say so themselves.
      if (!signal.aborted) logger.debug({ err: error }, "sweep failed");
    }
    await delay(intervalMs, undefined, { signal }).catch(() => {});
  }
}

/** Never rejects: what stays is tried again. */
async function removeAbandoned(
  runtime: Runtime,
  { signal, logger, isLive, abandonedMs = ABANDONED_MS }: SweepOptions,
): Promise<void> {
  try {
    const removed = await runtime.removeAbandoned({ endedBeforeMs: Date.now() - abandonedMs, isLive, signal });
    for (const containerId of removed) logger.info({ containerId }, "removed a container that no host came back to");
  } catch (error) {
    if (!signal.aborted) logger.debug({ err: error }, "abandoned containers stay");
  }
}

/** One that will not go must not keep those behind it; it is tried again at the next look. */
async function remove(
  runtime: Runtime,
  ref: ContainerRef,
  { signal, logger }: { signal: AbortSignal; logger: Logger },
): Promise<void> {
  const { sessionId, id: containerId } = ref;
  try {
    const container = await runtime.adopt(ref, { signal });
    await container?.[Symbol.asyncDispose]();
    logger.info({ sessionId, containerId }, "removed a container that was left behind");
  } catch (error) {
    if (!signal.aborted) logger.warn({ err: error, sessionId, containerId }, "a container that was left behind stays");
  }
}
