import { runIn } from "./git.ts";
import type { PrivateIndex } from "./private-index.ts";
import { joinPaths, type RawPath, splitPaths } from "./raw-path.ts";

/**
 * What is in a submodule's place: a directory, empty or a repository, as git makes it; a directory with files and no
 * repository; anything else, or nothing.
 */
export type SubmoduleState = "directory" | "files" | "other";

/** Asks no repository anything. */
const STATE = `if [ ! -d "$1" ] || [ -L "$1" ]; then echo other
elif [ ! -e "$1/.git" ] && [ -n "$(find "./$1" -name .git -prune -o "(" -type f -o -type l ")" -print -quit)" ]; then echo files
else echo directory; fi`;

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

/** Returns what is in the place of each submodule of the start commit. */
export async function listSubmodules(
  index: PrivateIndex,
  options: { signal: AbortSignal },
): Promise<Map<RawPath, SubmoduleState>> {
  return new Map((await ask(index, STATE, options)).map(([path, state]) => [path, state as SubmoduleState]));
}

/**
 * Returns the submodules of the start commit that are checked out and are not, or not only, what the start commit
 * says. A patch cannot carry that.
 */
export async function listChangedSubmodules(index: PrivateIndex, options: { signal: AbortSignal }): Promise<RawPath[]> {
  const answers = await ask(index, `if ${IS_CHANGED}; then echo changed; fi`, options);
  return answers.filter(([, answer]) => answer === "changed").map(([path]) => path);
}

async function ask(
  index: PrivateIndex,
  script: string,
  options: { signal: AbortSignal },
): Promise<[RawPath, string][]> {
  if (index.submodules.length === 0) return [];
  const input = joinPaths(index.submodules.flatMap(({ path, id }) => [path, id]));
  // xargs passes names that Node could not.
  const each = `cd -- "$0" || exit; answer=$(${script}); printf '%s\\0%s\\0' "$1" "$answer"`;
  const args = ["-0", "-n", "2", "sh", "-c", each, index.workTree];
  const fields = splitPaths((await runIn(index.place, "xargs", args, { ...options, input })).stdout);
  return Array.from({ length: fields.length / 2 }, (_, at) => [fields[2 * at] ?? "", fields[2 * at + 1] ?? ""]);
}
