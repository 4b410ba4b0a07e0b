import type { Logger } from "pino";
import { rest } from "../sleep.ts";
import type { SessionStore } from "./session-store.ts";

/** A look costs less than a millisecond where there is nothing to do. */
const INTERVAL_MS = 60_000;

/** Prunes a store at once and every minute, until the signal. Errors are logged. Never rejects. */
export async function pruneRegularly(
  store: SessionStore,
  { signal, logger }: { signal: AbortSignal; logger: Logger },
): Promise<void> {
  while (!signal.aborted) {
    try {
      const { sessionIds, freedBytes } = await store.prune({ nowMs: Date.now() });
      if (sessionIds.length > 0) logger.info({ sessionIds, freedBytes }, "removed old sessions");
    } catch (error) {
      logger.error({ err: error }, "old sessions could not be removed");
    }
    await rest(INTERVAL_MS, signal);
  }
}
