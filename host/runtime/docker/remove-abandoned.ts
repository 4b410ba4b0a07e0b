import type { RemoveAbandonedOptions } from "../runtime.ts";
import type { Engine } from "./engine.ts";
import { LABELS, refFrom } from "./labels.ts";
import { removeContainer } from "./remove-container.ts";

/** See Runtime.removeAbandoned. */
export async function removeAbandoned(
  engine: Engine,
  { endedBeforeMs, isLive, signal }: RemoveAbandonedOptions,
): Promise<string[]> {
  const removed: string[] = [];
  const failures: unknown[] = [];
  // By the label that every session's container has; an engine filter shows nothing else of those that are not its own.
  for (const { Id: id, State, Labels } of await engine.listContainers([LABELS.uid], { signal })) {
    const labels = Labels ?? {};
    const ref = refFrom({ id, createTimeMs: 0, running: false, labels }, labels[LABELS.host] ?? "");
    if (State !== "exited" || ref === undefined || isLive(ref.sessionId)) continue;
    try {
      const { State: state } = await engine.inspectContainer(id, { signal });
      // A time that is not told is none.
      if (state.Status !== "exited" || !(Date.parse(state.FinishedAt) < endedBeforeMs)) continue;
      await removeContainer(engine, id);
      removed.push(id);
    } catch (error) {
      signal.throwIfAborted();
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return removed;
}
