import type { Logger } from "pino";
import type { ListedContainer, Runtime } from "../runtime/runtime.ts";
import { rest } from "../sleep.ts";

/** Between looks. */
const INTERVAL_MS = 20_000;
const ABANDONED_INTERVAL_MS = 3_600_000;
/** A host that is only away for a while comes back to what it left. */
const ABANDONED_MS = 7 * 86_400_000;

/** Containers to keep, and when the others are removed. */
export interface SweepOptions {
  signal: AbortSignal;
  logger: Logger;
  /** Ids of the containers that somebody has, or may come back to. */
  held: () => ReadonlySet<string>;
  /** Time between two looks (ms). Default: 20 s. */
  intervalMs?: number;
  /** Time since its end after which a container of another host counts as abandoned (ms). Default: a week. */
  abandonedMs?: number;
}

/**
 * Removal, until the signal, of containers that nobody holds.
 *
 * Those of this host go at once: a failed removal left them, a lost reply to a create, or a host that was killed; what
 * is still being created is not listed. Those of other hosts, whose state may be lost, go at first and every hour, if
 * they ended long ago.
 */
export class Sweep {
  /** Resolves once this host's own containers have been looked at for the first time. Never rejects. */
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
