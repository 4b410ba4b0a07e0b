import { joinPaths, type RawPath, splitPaths } from "../../proto/index.ts";
import { type Claims, isObjectId } from "./claims.ts";
import { runIn } from "./git.ts";
import type { PrivateIndex } from "./private-index.ts";
import type { SubmodulePlace } from "./submodule-place.ts";

/** A path that is a submodule in the start commit or in Claude's index. */
interface Candidate {
  path: RawPath;
  /** The commit that it is at in the start commit. "": it is new. */
  startId: string;
  /** The one that Claude's repository says. "": none. Undefined: the same. */
  claimedId: string | undefined;
}

/** Submodules as a scan found them. */
export interface Submodules {
  /** What stands for each submodule in the patch. */
  places: ReadonlyMap<RawPath, SubmodulePlace>;
  /**
   * Submodules of the start commit that Claude's repository does not track any more though their directories exist,
   * with their commits.
   */
  removed: ReadonlyMap<RawPath, string>;
}

/**
 * Says what is in the submodule's place: nothing; an empty directory, as git makes it; a repository, with its commit; a
 * directory with files and no repository; anything else.
 */
const STATE = `if [ ! -e "$1" ] && [ ! -L "$1" ]; then echo absent
elif [ ! -d "$1" ] || [ -L "$1" ]; then echo other
elif [ -e "$1/.git" ]; then
  unset GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_WORK_TREE
  echo "repository $(GIT_DIR="$PWD/$1/.git" timeout -s KILL 10 git rev-parse --verify --quiet HEAD)"
elif [ -n "$(find "./$1" -name .git -prune -o "(" -type f -o -type l ")" -print -quit)" ]; then echo files
else echo empty; fi`;

/**
 * Asks the submodule's own repository whether a patch lacks something of it: what is not committed, or a commit that is
 * nowhere else. That can run whatever Claude wrote into its configuration: as Claude's user, for ten seconds a
 * command, and only once everything else is done.
 */
const IS_CHANGED = `[ -d "$1" ] && [ ! -L "$1" ] && [ -e "$1/.git" ] && cd -- "$1" && ! {
  unset GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
  export GIT_DIR="$PWD/.git" GIT_WORK_TREE="$PWD"
  head=$(timeout -s KILL 10 git rev-parse --verify -q HEAD) &&
  { [ "$head" = "$2" ] ||
    { only=$(timeout -s KILL 10 git rev-list -n 1 HEAD --not --remotes) && [ -z "$only" ]; }; } &&
  said=$(timeout -s KILL 10 git -c core.fsmonitor=false status --porcelain --ignore-submodules=all) && [ -z "$said" ]
}`;

/**
 * Returns what stands for each submodule in the patch, of the start commit or new. Those whose files are the start's are
 * none: their files count like any other.
 */
export async function findSubmodules(
  index: PrivateIndex,
  claims: Claims,
  options: { signal: AbortSignal },
): Promise<Submodules> {
  const candidates: Candidate[] = index.submodules.map(({ path, id }) => {
    return { path, startId: id, claimedId: claims.submodules.get(path) };
  });
  const known = new Set(candidates.map(({ path }) => path));
  const given = index.givenSubmodules;
  for (const [path, claimedId] of claims.submodules) {
    if (!given.has(path) && !known.has(path) && claimedId !== "") candidates.push({ path, startId: "", claimedId });
  }
  const registered = candidates.some(({ startId }) => startId === "")
    ? await index.listRegisteredSubmodules(options)
    : new Set<RawPath>();
  const places = new Map<RawPath, SubmodulePlace>();
  const removed = new Map<RawPath, string>();
  const states = await ask(index, candidates, STATE, options);
  for (const candidate of candidates) {
    const { path, startId, claimedId } = candidate;
    const [state = "", head = ""] = (states.get(path) ?? "").split(" ");
    const place = placeOf(candidate, { state, head: isObjectId(head) ? head : "", registered: registered.has(path) });
    if (place !== undefined) places.set(path, place);
    if (claimedId === "" && typeof place === "object") removed.set(path, startId);
  }
  return { places, removed };
}

/** Undefined: it is no submodule, its files are the outer repository's. */
function placeOf(
  { startId, claimedId }: Candidate,
  found: { state: string; head: string; registered: boolean },
): SubmodulePlace | undefined {
  const { state, head, registered } = found;
  const claimed = claimedId === undefined || claimedId === "" ? startId : claimedId;
  const isNew = startId === "";
  // A commit without .gitmodules leads nowhere: the files say more.
  if (state === "repository" && (!isNew || registered)) {
    return { commitId: head !== "" && head !== startId ? head : claimed };
  }
  if (state === "empty" || (state === "absent" && claimed !== startId)) return { commitId: claimed };
  if (isNew) return undefined;
  return state === "files" ? "files" : "other";
}

/**
 * Asks a submodule whose files are the start's whether it has commits or stashes that are not checked out, in the same way. $2
 * is the commit that it began with.
 */
const HAS_MORE = `[ -d "$1" ] && [ ! -L "$1" ] && [ -e "$1/.git" ] && cd -- "$1" && ! {
  unset GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
  export GIT_DIR="$PWD/.git" GIT_WORK_TREE="$PWD"
  only=$(timeout -s KILL 10 git rev-list -n 1 --all --not "$2" HEAD --remotes) && [ -z "$only" ]
}`;

/**
 * Returns the submodules with changes that a patch cannot carry. Asking them may run what Claude wrote into their
 * configuration.
 */
export async function listChangedSubmodules(index: PrivateIndex, options: { signal: AbortSignal }): Promise<RawPath[]> {
  const start = new Map(index.submodules.map(({ path, id }) => [path, id]));
  const paths = new Set([...start.keys(), ...index.placedSubmodules]);
  const asked = [...paths].map((path) => ({ path, startId: start.get(path) ?? "" }));
  const answers = await ask(index, asked, `if ${IS_CHANGED}; then echo changed; fi`, options);
  const given = [...index.givenSubmodules].map(([path, startId]) => ({ path, startId }));
  const more = await ask(index, given, `if ${HAS_MORE}; then echo changed; fi`, options);
  return [...answers, ...more].filter(([, answer]) => answer === "changed").map(([path]) => path);
}

async function ask(
  index: PrivateIndex,
  about: readonly Pick<Candidate, "path" | "startId">[],
  script: string,
  options: { signal: AbortSignal },
): Promise<Map<RawPath, string>> {
  if (about.length === 0) return new Map();
  const input = joinPaths(about.flatMap(({ path, startId }) => [path, startId]));
  // xargs passes names that Node could not.
  const each = `cd -- "$0" || exit; answer=$(${script}); printf '%s\\0%s\\0' "$1" "$answer"`;
  const args = ["-0", "-n", "2", "sh", "-c", each, index.workTree];
  const fields = splitPaths((await runIn(index.ownerPlace, "xargs", args, { ...options, input })).stdout);
  return new Map(
    Array.from({ length: fields.length / 2 }, (_, at) => [fields[2 * at] ?? "", fields[2 * at + 1] ?? ""]),
  );
}
