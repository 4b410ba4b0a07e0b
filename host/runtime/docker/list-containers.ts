import type { ContainerInfo } from "dockerode";
import type { ListedContainer } from "../runtime.ts";
import { statusOf } from "./engine-error.ts";
import type { Engine } from "./engine.ts";
import { LABELS, areOurs, refOf } from "./labels.ts";

/** States of containers in which nothing runs, and nothing will by itself: of "dead" ones a removal has failed. */
const OVER: ReadonlySet<string> = new Set(["created", "exited", "dead"]);

/** A container of ours, with our own id of it; one of an older version has none. */
interface Ours extends ListedContainer {
  key: string;
}

/** Lists the containers of ours with a label ("name" or "name=value"), and when they ended. */
export async function listOurs(engine: Engine, label: string, { signal }: { signal: AbortSignal }): Promise<Ours[]> {
  const listed = (await engine.listContainers([label], { signal })).filter(({ Labels }) => areOurs(Labels ?? {}));
  const ours = await Promise.all(listed.map((container) => describe(engine, container, signal)));
  return ours.filter((container) => container !== undefined);
}

/** Undefined: it has gone meanwhile. */
async function describe(
  engine: Engine,
  { Id: id, State, Labels }: ContainerInfo,
  signal: AbortSignal,
): Promise<Ours | undefined> {
  const ours = { ref: refOf(id), key: Labels[LABELS.container] ?? "", endTimeMs: undefined };
  if (!OVER.has(State)) return ours;
  try {
    const { State: state, Created } = await engine.inspectContainer(id, { signal });
    if (!OVER.has(state.Status)) return ours;
    const endTimeMs = Date.parse(state.Status === "created" ? Created : state.FinishedAt);
    // A time that is not told is none.
    return { ...ours, endTimeMs: Number.isNaN(endTimeMs) ? undefined : endTimeMs };
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}
