import { type RawPath, splitPaths } from "../../proto/index.ts";
import { objectSizes } from "./change-diff.ts";
import { git, type GitPlace } from "./git.ts";
import { findLargeFiles, lookAt } from "./path-facts.ts";
import { ABSENT } from "./raw-diff.ts";

/** Most bytes of a file in the patch, the limit that GitHub has. Larger files are left out, and named in the result. */
export const MAX_FILE_BYTES = 100 * 1024 * 1024;

/** Returns the large files of the work tree, without those that had the same size in the start commit. */
export async function findHeldFiles(
  place: GitPlace,
  workTree: string,
  options: { signal: AbortSignal },
): Promise<Set<RawPath>> {
  const large = new Set(await findLargeFiles(place, workTree, MAX_FILE_BYTES, options));
  if (large.size === 0) return large;
  const tracked = new Map<RawPath, { oldMode: string; oldId: string; newMode: string; newId: string }>();
  for (const line of splitPaths(await git(place, ["ls-files", "-s", "-z"], options))) {
    const [oldMode = "", oldId = ""] = line.split(" ", 2);
    const path = line.slice(line.indexOf("\t") + 1);
    if (large.has(path)) tracked.set(path, { oldMode, oldId, newMode: ABSENT, newId: "" });
  }
  const sizes = await objectSizes(place, [...tracked.values()], options);
  const facts = await lookAt(place, workTree, [...tracked.keys()], options);
  for (const [path, { oldId }] of tracked) {
    if (facts.get(path)?.sizeBytes === sizes.get(oldId)) large.delete(path);
  }
  return large;
}
