import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Runtime } from "../runtime/runtime.ts";

/** A container that has ended is removed by its own host at once; one that is still there at the next look has none. */
const INTERVAL_MS = 20_000;

/**
 * Removes, until the signal, the containers that a killed host left behind: ended ones of ours that
 * nobody removes. Those that still run end themselves after a while, since no host is with them.
 */
export async function sweepContainers(
  runtime: Runtime,
  options: { signal: AbortSignal; logger: Logger },
): Promise<void> {
  const { signal, logger } = options;
  let before = new Set<string>();
  while (!signal.aborted) {
    try {
      const ended = (await runtime.list({ signal })).filter((ref) => !ref.running);
      for (const ref of ended.filter(({ id }) => before.has(id))) {
        const container = await runtime.adopt(ref, { signal });
        await container?.[Symbol.asyncDispose]();
        logger.info({ sessionId: ref.sessionId, containerId: ref.id }, "removed a container that was left behind");
      }
      before = new Set(ended.map(({ id }) => id));
    } catch (error) {
      // Without an engine there is nothing to sweep; sessions say so themselves.
      if (!signal.aborted) logger.debug({ err: error }, "sweep failed");
    }
    await delay(INTERVAL_MS, undefined, { signal }).catch(() => {});
  }
}
