import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { splitPaths } from "../../proto/index.ts";
import { git, type GitPlace } from "./git.ts";

/** What stands for all files of a directory. */
const DIRECTORY = "040000";
/** The extension without content that an index with such entries has. */
const MARK = "sdir\0\0\0\0";
const LIST_TREES = ["rev-list", "--objects", "--filter=blob:none", "--no-object-names", "--stdin"];

/**
 * Expands a sparse index of ours: entries for directories become entries for files. git would do so by itself, but would
 * renew the times of the user's trees. Here it meets copies, which are made in `directory`.
 */
export async function expandSparseIndex(
  place: GitPlace & { indexFile: string },
  directory: string,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  // Asked of an index without directories, git would make it one with them.
  if (!(await readFile(place.indexFile)).includes(MARK)) return;
  const sparse = { ...place, config: { ...place.config, "index.sparse": "true" } };
  const entries = splitPaths(await git(sparse, ["ls-files", "--sparse", "-s", "-z"], { signal }));
  const trees = entries.filter((line) => line.startsWith(DIRECTORY)).map((line) => line.split(" ")[1]!);
  if (trees.length === 0) return;
  await mkdir(join(directory, "pack"), { recursive: true });
  const ids = await git(place, LIST_TREES, { signal, input: trees.map((id) => `${id}\n`).join("") });
  const writing = { ...place, objectDirectory: directory };
  await git(writing, ["pack-objects", "-q", "--window=0", join(directory, "pack/pack")], { signal, input: ids });
  await git({ ...writing, alternates: [] }, ["update-index", "--force-write-index"], { signal });
}
