import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SNAPSHOT_REF } from "../../proto/index.ts";
import { git, gitLine, type GitPlace } from "../repository/git.ts";

/** More is not copied for one session: what it starts from then lasts as long as the user's repository has it (bytes). */
const MAX_BYTES = 1024 ** 3;
/** In the directory that a session is served from: there is nothing more to be copied. */
const KEPT = "kept";

/** Returns whether what is served from a directory was copied already, or is too much. */
export async function isKept(served: string): Promise<boolean> {
  return (await readdir(served)).includes(KEPT);
}

/**
 * Copies into a store what is served from a directory and what only the user's repository has: from then on no garbage
 * collection there takes it away. One thread, and no search for smaller deltas: what lies in packs is copied as it is.
 */
export async function keepObjects(
  { served, objectDirectory }: { served: string; objectDirectory: string },
  { signal }: { signal: AbortSignal },
): Promise<void> {
  // Meanwhile the session is fetching.
  const options = { signal, background: true };
  const place: GitPlace = { settings: "none", gitDirectory: served, objectDirectory };
  const borrowed = await readFile(join(objectDirectory, "info/alternates"), "utf8").catch(() => "");
  const sizeOf = () => gitLine(place, ["rev-list", "--objects", "--disk-usage", SNAPSHOT_REF], options);
  // One that was uploaded has everything.
  if (borrowed.trim() !== "" && Number(await sizeOf()) <= MAX_BYTES) {
    const packs = join(objectDirectory, "pack");
    const own = (await readdir(packs)).filter((name) => name.endsWith(".pack")).map((name) => `--keep-pack=${name}`);
    const flags = ["--revs", ...own, "--non-empty", "--window=0", "--threads=1", "-q"];
    await git(place, ["pack-objects", ...flags, join(packs, "pack")], { ...options, input: `${SNAPSHOT_REF}\n` });
  }
  await writeFile(join(served, KEPT), "");
}
