import { joinPaths, type RawPath, splitPaths } from "../../proto/index.ts";
import { type GitPlace, type Script, shell } from "./git.ts";

/** For reading what is known to be files: only somebody who makes a pipe of one meanwhile can hold it up. */
const TIMEOUT_S = 60;

/**
 * Checks the paths in stdin out as they were at the start, with the attributes of the start, and writes the hashes of
 * these files and of those in the work tree. An empty directory is the work tree here: git looks there for
 * .gitattributes first, and then into the index. $1 is a directory for all of it, $2 the work tree, $3 the start tree.
 */
const CHECK_OUT: Script = {
  name: "checkout-index",
  text: `out=$1/checkout
trap 'rm -rf -- "$out" "$1/paths"' EXIT
rm -rf -- "$out" && mkdir -- "$out" && cat > "$1/paths" || exit
export GIT_INDEX_FILE="$1/start"
[ -e "$GIT_INDEX_FILE" ] || git read-tree "$3" || exit
GIT_WORK_TREE=$out git -C "$out" checkout-index -q -z --stdin < "$1/paths" 2>&-
hashes() { cd -- "$1" && timeout -s KILL ${TIMEOUT_S} xargs -0 sha256sum -z -- < "$2" 2>&-; }
(hashes "$out" "$1/paths")
printf '\\0'
(hashes "$2" "$1/paths")
:`,
};

/**
 * Returns the files that still have the bytes that the first checkout wrote. git takes some of them for changed: files
 * that were committed in another form than their attributes ask for, and files that Claude gave other attributes.
 */
export async function findUntouched(
  place: GitPlace,
  paths: readonly RawPath[],
  options: { directory: string; workTree: string; startTree: string; signal: AbortSignal },
): Promise<Set<RawPath>> {
  const { directory, workTree, startTree, signal } = options;
  const args = [directory, workTree, startTree];
  const lines = splitPaths(await shell(place, CHECK_OUT, args, { input: joinPaths(paths), signal }));
  const middle = lines.indexOf("");
  const before = new Set(lines.slice(0, middle));
  const same = lines.slice(middle + 1).filter((line) => before.has(line));
  return new Set(same.map((line) => line.slice(line.indexOf("  ") + 2)));
}
