import type { Identity } from "../process/identity.ts";
import type { BaseRepository } from "./base-repository.ts";
import { type GitPlace, REMOVE, shell } from "./git.ts";

/** Name of the index that is kept from one look at the work tree to the next. */
export const LIVE = "live";

const SCAN_CONFIG = {
  "core.looseCompression": "1",
  // Larger ones are streamed, and never compared line by line: memory is short in a container.
  "core.bigFileThreshold": "32m",
  "core.untrackedCache": "false",
  "core.splitIndex": "false",
  "core.autocrlf": "false",
  "core.safecrlf": "false",
  "core.attributesFile": "/dev/null",
  "core.excludesFile": "/dev/null",
};

/** Index for comparing the work tree with the start commit: where it is, and whose. */
export interface ScanPlaceOptions {
  base: BaseRepository;
  workTree: string;
  /** Directory in which the index gets a directory of its own. */
  scanDirectory: string;
  /** Name of that directory. */
  name: string;
  identity: Identity | undefined;
}

/** Returns the place for an index of our own with an object directory of its own, and the directory that holds both. */
export function scanPlace(options: ScanPlaceOptions): { place: GitPlace; directory: string } {
  const { base, workTree, identity } = options;
  const directory = `${options.scanDirectory}/${options.name}`;
  const variables = {
    GIT_DIR: base.gitDir,
    GIT_WORK_TREE: workTree,
    GIT_INDEX_FILE: `${directory}/index`,
    GIT_OBJECT_DIRECTORY: `${directory}/objects`,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: `${base.gitDir}/objects`,
  };
  return { place: { identity, variables, config: SCAN_CONFIG }, directory };
}

/** Removes a directory of ours, as the place's identity. */
export async function removeDirectory(
  place: GitPlace,
  directory: string,
  options: { signal: AbortSignal },
): Promise<void> {
  await shell(place, REMOVE, [directory], options);
}
