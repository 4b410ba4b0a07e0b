import { type RawPath } from "../../proto/index.ts";
import { rawPathText } from "../present/path-text.ts";
import { nameSome } from "../name-some.ts";
import { findObstacle, listFiles, readState, sameFile } from "./file-states.ts";
import type { Replacement } from "./work-files.ts";

/** Obstacle to the replacement of a file. */
export interface Obstacle {
  path: RawPath;
  /** What is in the way, worded to follow the path: "is a directory". Undefined: the file has changed. */
  why: string | undefined;
}

/** Finds what keeps files from being replaced, before anything is written. Files that are replaced already are fine. */
export async function findObstacles(workTree: string, replacements: readonly Replacement[]): Promise<Obstacle[]> {
  const gone = new Set(replacements.filter(({ to }) => to.kind === "absent").map(({ path }) => path));
  const obstacles: Obstacle[] = [];
  for (const { path, from, to } of replacements) {
    const found = await readState(workTree, path);
    const above = findObstacle(workTree, path);
    if (above !== undefined && to.kind !== "absent" && !gone.has(above)) {
      obstacles.push({ path, why: `lies behind ${rawPathText(above)}, which is no directory` });
    } else if (sameFile(found, from) || sameFile(found, to)) {
      continue;
    } else if (found.kind === "other" && isDirectoryOf(path, replacements)) {
      // It may go with all that is in it, where all of that goes; it may have come already.
      if (to.kind === "absent") continue;
      const others = listFiles(workTree, path).filter((inside) => !gone.has(inside));
      if (others.length === 0) continue;
      obstacles.push({ path, why: `is a directory with ${nameSome(others.map(rawPathText))} in it` });
    } else if (from.kind === "absent") {
      const what = found.kind === "other" ? found.what : "there, and not known to git";
      obstacles.push({ path, why: `is ${what}` });
    } else obstacles.push({ path, why: undefined });
  }
  return obstacles;
}

function isDirectoryOf(path: RawPath, replacements: readonly Replacement[]): boolean {
  return replacements.some((other) => other.path.startsWith(`${path}/`));
}
