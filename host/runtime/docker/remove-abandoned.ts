import type { RemoveAbandonedOptions } from "../runtime.ts";
import type { Engine } from "./engine.ts";
import { LABELS, refFrom } from "./labels.ts";
import { removeContainer } from "./remove-container.ts";

/** States of containers in which nothing runs, and nothing will by itself: of "dead" ones a removal has failed. */
const OVER: ReadonlySet<string> = new Set(["created", "exited", "dead"]);

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
    if (!OVER.has(State) || ref === undefined || isLive(ref.sessionId)) continue;
    try {
      const { State: state, Created } = await engine.inspectContainer(id, { signal });
      const endTime = state.Status === "created" ? Created : state.FinishedAt;
      // A time that is not told is none.
      if (!OVER.has(state.Status) || !(Date.parse(endTime) < endedBeforeMs)) continue;
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
