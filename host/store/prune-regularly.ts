import type { Logger } from "pino";
import { rest } from "../sleep.ts";
import type { SessionStore } from "./session-store.ts";

/** A look costs less than a millisecond where there is nothing to do. */
const INTERVAL_MS = 60_000;

/** So many of the sessions that take too much room are named. */
const NAMED = 3;

/**
 * Prunes a store at once and every minute, until the signal. Errors are logged, and once that more is stored than may be since
 * nobody has taken the changes. Never rejects.
 */
export async function pruneRegularly(
  store: SessionStore,
  { signal, logger }: { signal: AbortSignal; logger: Logger },
): Promise<void> {
  let wasExcess = false;
  while (!signal.aborted) {
    try {
      const { sessionIds, freedBytes, excessBytes } = await store.prune({ nowMs: Date.now() });
      const isExcess = excessBytes > 0;
      if (isExcess && !wasExcess) {
        const largest = store.largestUntaken({ limit: NAMED });
        const message = "more is stored than store_max_bytes: sessions with changes that nobody has taken are kept";
        logger.warn({ excessBytes, largest, help: "claudecluster apply, or claudecluster remove --discard" }, message);
      }
      wasExcess = isExcess;
      if (sessionIds.length > 0) logger.info({ sessionIds, freedBytes }, "removed old sessions");
    } catch (error) {
      logger.error({ err: error }, "old sessions could not be removed");
    }
    await rest(INTERVAL_MS, signal);
  }
}
