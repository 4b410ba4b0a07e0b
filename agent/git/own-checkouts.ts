import { joinPaths, type RawPath, splitPaths } from "../../proto/index.ts";
import { runIn } from "./git.ts";
import type { PrivateIndex } from "./private-index.ts";
import { FIND_REPOSITORY } from "./repository-window.ts";

/** For one repository, and for all: they may be anything that Claude made of them. */
const TIMEOUT_S = 5;
const TOTAL_TIMEOUT_S = 20;

/**
 * Writes the path if the repository there is the work tree's own, in another worktree of it, or one that has the start
 * commit: a clone. $0 is the work tree, $1 the start commit, $2 the path. Its objects are read with the base's
 * configuration, and without the base's objects.
 */
const IS_CHECKOUT = `${FIND_REPOSITORY}
main=
! find_repository "$0" || main=$common
find_repository "$0/\${2%/}" || exit 0
has_start() { [ -n "$1" ] && env -u GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_OBJECT_DIRECTORY="$common/objects" \\
  timeout -s KILL ${TIMEOUT_S} git cat-file -e "$1^{commit}" 2>/dev/null; }
if { [ -n "$main" ] && [ "$common" -ef "$main" ]; } || has_start "$1"; then printf '%s\\0' "$2"; fi
exit 0`;

/**
 * Returns the nested repositories that are checkouts of the session's repository: worktrees or clones of it. A
 * repository that does not answer is none.
 */
export async function findOwnCheckouts(
  index: PrivateIndex,
  nested: readonly RawPath[],
  options: { signal: AbortSignal },
): Promise<RawPath[]> {
  if (nested.length === 0) return [];
  const each = ["xargs", "-0", "-n", "1", "sh", "-c", IS_CHECKOUT, index.workTree, index.startCommitId];
  const args = ["-s", "KILL", String(TOTAL_TIMEOUT_S), ...each];
  const { stdout } = await runIn(index.ownerPlace, "timeout", args, { ...options, input: joinPaths(nested) });
  return splitPaths(stdout);
}
