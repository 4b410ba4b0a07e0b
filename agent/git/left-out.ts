import { LeftOut, type RawPath } from "../../proto/index.ts";
import { MAX_FILE_BYTES } from "./large-files.ts";
import { lookAt } from "./path-facts.ts";
import type { PrivateIndex } from "./private-index.ts";

/** Returns the reason why each of the paths is not in the patch. */
export async function reasonsFor(
  index: PrivateIndex,
  paths: readonly RawPath[],
  { submodules, signal }: { submodules: ReadonlySet<RawPath>; signal: AbortSignal },
): Promise<LeftOut[]> {
  const facts = await lookAt(index.place, index.workTree, paths, { signal });
  return paths.map((path) => {
    if (submodules.has(path)) return LeftOut.SUBMODULE;
    if (index.refused.has(path)) return LeftOut.REFUSED;
    const fact = facts.get(path);
    if (fact === undefined) return LeftOut.UNSPECIFIED;
    if (fact.type === "f" && fact.sizeBytes > MAX_FILE_BYTES) return LeftOut.TOO_LARGE;
    if (!fact.readable || fact.type === "d") return LeftOut.UNREADABLE;
    return index.crowded ? LeftOut.NO_ROOM : LeftOut.UNSPECIFIED;
  });
}
