import { runIn } from "./git.ts";
import type { PrivateIndex } from "./private-index.ts";
import { joinPaths, type RawPath, splitPaths } from "./raw-path.ts";

/** Asks no repository anything: a directory with files but without .git is no submodule any more. */
const IS_REPLACED = `[ -d "$1" ] && [ ! -L "$1" ] && [ ! -e "$1/.git" ] &&
  [ -n "$(find "./$1" -name .git -prune -o "(" -type f -o -type l ")" -print -quit)" ]`;

/**
 * Asks the submodule's own repository, which can run whatever Claude wrote into its configuration: as Claude's user,
 * for ten seconds, and only once everything else is done.
 */
const IS_CHANGED = `[ -d "$1" ] && [ ! -L "$1" ] && [ -e "$1/.git" ] && cd -- "$1" && ! {
  unset GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
  export GIT_DIR="$PWD/.git" GIT_WORK_TREE="$PWD"
  [ "$(timeout -s KILL 10 git rev-parse --verify -q HEAD)" = "$2" ] &&
  said=$(timeout -s KILL 10 git -c core.fsmonitor=false status --porcelain --ignore-submodules=all) && [ -z "$said" ]
}`;

/** Returns the submodules of the start commit whose directories hold ordinary files now. */
export function listReplacedSubmodules(index: PrivateIndex, options: { signal: AbortSignal }): Promise<RawPath[]> {
  return select(index, IS_REPLACED, options);
}

/**
 * Returns the submodules of the start commit that are checked out and are not, or not only, what the start commit
 * says. A patch cannot carry that.
 */
export function listChangedSubmodules(index: PrivateIndex, options: { signal: AbortSignal }): Promise<RawPath[]> {
  return select(index, IS_CHANGED, options);
}

async function select(index: PrivateIndex, test: string, options: { signal: AbortSignal }): Promise<RawPath[]> {
  if (index.submodules.length === 0) return [];
  const input = joinPaths(index.submodules.flatMap(({ path, id }) => [path, id]));
  // The directory is changed by the shell; xargs passes names that Node could not.
  const script = `cd -- "$0" && if ( ${test} ); then printf '%s\\0' "$1"; fi`;
  const args = ["-0", "-n", "2", "sh", "-c", script, index.workTree];
  return splitPaths((await runIn(index.place, "xargs", args, { ...options, input })).stdout);
}
