import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { ContainerRef, Runtime } from "../runtime/runtime.ts";

/** Between looks; what is to go must have been seen twice, so that a create has time to be answered. */
const INTERVAL_MS = 20_000;

/**
 * Removes, until the signal, the containers of ours whose session is not live: left by a removal
 * that failed, or by a create whose reply was lost.
 */
export async function sweepContainers(
  runtime: Runtime,
  options: { signal: AbortSignal; logger: Logger; isLive: (sessionId: string) => boolean; intervalMs?: number },
): Promise<void> {
  const { signal, logger, isLive, intervalMs = INTERVAL_MS } = options;
  let before = new Set<string>();
  while (!signal.aborted) {
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
