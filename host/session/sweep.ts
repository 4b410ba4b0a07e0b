import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Runtime } from "../runtime/runtime.ts";

/** A container that has ended is removed by its own host at once; one that is still there after this has none. */
const GRACE_MS = 10_000;

/**
 * Removes the containers that a killed host left behind: ended ones of ours that nobody removes.
 * Those that still run end themselves, since no host is with them. Ends early on abort.
 */
export async function sweepContainers(
  runtime: Runtime,
  options: { signal: AbortSignal; logger: Logger },
): Promise<void> {
  const { signal, logger } = options;
  const ended = async () => (await runtime.list({ signal })).filter((ref) => !ref.running);
  try {
    const before = new Set((await ended()).map(({ id }) => id));
    if (before.size === 0) return;
    await delay(GRACE_MS, undefined, { signal });
    for (const ref of await ended()) {
      if (!before.has(ref.id)) continue;
      const container = await runtime.adopt(ref, { signal });
      await container?.[Symbol.asyncDispose]();
      logger.info({ sessionId: ref.sessionId, containerId: ref.id }, "removed a container that was left behind");
    }
  } catch (error) {
    // Without an engine there is nothing to sweep; sessions say so themselves.
    if (!signal.aborted) logger.debug({ err: error }, "sweep failed");
  }
}
