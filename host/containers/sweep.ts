import type { Logger } from "pino";
import type { ListedContainer, Runtime } from "../runtime/runtime.ts";
import { rest } from "../sleep.ts";

/** Between looks. */
const INTERVAL_MS = 20_000;
const ABANDONED_INTERVAL_MS = 3_600_000;
/** A host that is only away for a while comes back to what it left. */
const ABANDONED_MS = 7 * 86_400_000;

export interface SweepOptions {
  signal: AbortSignal;
  logger: Logger;
  /** Ids of the containers that somebody has, or may come back to. */
  held: () => ReadonlySet<string>;
  /** Default 20 s. */
  intervalMs?: number;
  /** How long ago a container of another host must have ended to be taken for abandoned. Default a week. */
  abandonedMs?: number;
}

/**
 * Removes, until the signal, the containers that nobody holds: those of this host at once, since what is still being created
 * is not listed (a removal that failed left them, a create whose reply was lost, a host that was killed); those of other
 * hosts, whose state may be lost, at first and every hour, once they have ended long ago.
 */
export class Sweep {
  /** Resolves once it has looked at this host's own for the first time, and removed what nobody holds. Never rejects. */
  readonly firstLook: Promise<unknown>;
  /** Resolves after the signal, once nothing is being removed any more. */
  readonly over: Promise<void>;

  private constructor({ firstLook, over }: Pick<Sweep, "firstLook" | "over">) {
    this.firstLook = firstLook;
    this.over = over;
  }

  /** Sweeps until the signal. */
  static start(runtime: Runtime, options: SweepOptions): Sweep {
    const { promise: firstLook, resolve } = Promise.withResolvers<undefined>();
    const over = sweep(runtime, { ...options, onLook: () => resolve(undefined) });
    return new Sweep({ firstLook, over });
  }
}

async function sweep(runtime: Runtime, options: SweepOptions & { onLook: () => void }): Promise<void> {
  const { signal, abandonedMs = ABANDONED_MS, intervalMs = INTERVAL_MS, onLook } = options;
  let nextAbandonedMs = 0;
  while (!signal.aborted) {
    await removeUnheld(runtime, { ...options, choose: (listed) => listed });
    onLook();
    if (performance.now() >= nextAbandonedMs) {
      const endedBeforeMs = Date.now() - abandonedMs;
      const choose = (listed: ListedContainer[]) =>
        listed.filter(({ endTimeMs = Infinity }) => endTimeMs < endedBeforeMs);
      await removeUnheld(runtime, { ...options, everyHost: true, choose });
      nextAbandonedMs = performance.now() + ABANDONED_INTERVAL_MS;
    }
    await rest(intervalMs, signal);
  }
}

interface RemoveOptions extends SweepOptions {
  everyHost?: boolean;
  choose: (listed: ListedContainer[]) => ListedContainer[];
}

/** Never rejects: what stays is tried again. One that will not go does not keep those behind it. */
async function removeUnheld(runtime: Runtime, { choose, everyHost = false, ...options }: RemoveOptions): Promise<void> {
  const { signal, logger, held } = options;
  let listed: ListedContainer[] = [];
  try {
    listed = await runtime.list({ everyHost, signal });
  } catch (error) {
    // Without a runtime there is nothing to sweep; sessions say so themselves.
    if (!signal.aborted) logger.debug({ err: error }, "sweep failed");
  }
  const known = held();
  for (const { ref } of choose(listed).filter((each) => !known.has(each.ref.id))) {
    try {
      const container = await runtime.adopt(ref, { signal });
      if (container === undefined || held().has(ref.id)) continue;
      await container[Symbol.asyncDispose]();
      logger.info({ containerId: ref.id }, "removed a container that nobody held");
    } catch (error) {
      if (!signal.aborted) logger.warn({ err: error, containerId: ref.id }, "a container that nobody holds stays");
    }
  }
}
