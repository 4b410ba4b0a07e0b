import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { git, type GitPlace, gitLine } from "./git.ts";
import type { Scratch } from "./scratch.ts";
import { type UserRepository, userPlace } from "./user-repository.ts";

/** What a user's repository holds as it is now, as trees in a scratch repository. */
export interface TreesNow {
  /** What is staged. Undefined: something is not merged. */
  index: string | undefined;
  /** The files as they are, with those that are neither tracked nor ignored. */
  workTree: string;
}

/** Reads the trees without touching the user's index, objects or files. */
export async function readTreesNow(
  repository: UserRepository,
  scratch: Scratch,
  { signal }: { signal: AbortSignal },
): Promise<TreesNow> {
  const place: GitPlace = {
    ...userPlace(repository),
    objectDirectory: scratch.objectDirectory,
    indexFile: join(scratch.directory, "now.index"),
    config: { "core.splitIndex": "false" },
  };
  await copyFile(repository.indexFile, place.indexFile!).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  const unmerged = await git(place, ["ls-files", "-u", "-z"], { signal });
  const index = unmerged.length > 0 ? undefined : await gitLine(place, ["write-tree"], { signal });
  await git(place, ["add", "-A", "--sparse", "--", "."], { signal });
  return { index, workTree: await gitLine(place, ["write-tree"], { signal }) };
}
