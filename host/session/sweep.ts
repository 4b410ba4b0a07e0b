import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Runtime } from "../runtime/runtime.ts";

/** Between looks; what is to go must have been seen twice, so that a create has time to be answered. */
const INTERVAL_MS = 20_000;

/**
 * Removes, until the signal, the containers of ours whose session is not live: left by a removal
 * that failed, or by a create whose reply was lost.
 */
export async function sweepContainers(
  runtime: Runtime,
  options: { signal: AbortSignal; logger: Logger; isLive: (sessionId: string) => boolean },
): Promise<void> {
  const { signal, logger, isLive } = options;
  let before = new Set<string>();
  while (!signal.aborted) {
    try {
      const orphans = (await runtime.list({ signal })).filter(({ sessionId }) => !isLive(sessionId));
      for (const ref of orphans.filter(({ id }) => before.has(id))) {
        const container = await runtime.adopt(ref, { signal });
        await container?.[Symbol.asyncDispose]();
        logger.info({ sessionId: ref.sessionId, containerId: ref.id }, "removed a container that was left behind");
      }
      before = new Set(orphans.map(({ id }) => id));
    } catch (error) {
      // Without an engine there is nothing to sweep; sessions say so themselves.
      if (!signal.aborted) logger.debug({ err: error }, "sweep failed");
    }
    await delay(INTERVAL_MS, undefined, { signal }).catch(() => {});
  }
}
