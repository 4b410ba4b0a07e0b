import { git, type GitPlace, type Script, shell } from "./git.ts";
import { ABSENT, type RawDiffEntry } from "./raw-diff.ts";

const CLAUDE = { name: "Claude", email: "noreply@anthropic.com" };

/** Changes a tree by what is in stdin. $1 a file for an index, $2 the tree, or "--empty". */
const WRITE_TREE: Script = {
  name: "write-tree",
  text: `set -e
rm -f -- "$1"
export GIT_INDEX_FILE=$1
git read-tree "$2"
git update-index -z --replace --index-info
exec git write-tree --missing-ok`,
};

/** Tree to change, and where. */
export interface WriteTreeOptions {
  /** Tree or commit. Empty: nothing. */
  start: string;
  entries: readonly RawDiffEntry[];
  /** Path for an index, which is written. */
  indexFile: string;
  signal: AbortSignal;
}

/** Writes a tree that has these differences from another one, and returns its id. */
export async function writeTree(
  place: GitPlace,
  { start, entries, indexFile, signal }: WriteTreeOptions,
): Promise<string> {
  // What goes comes first: a file may take the place of a directory, and the other way.
  const gone = entries.filter(({ newMode }) => newMode === ABSENT);
  const lines = gone.map(({ path, oldId }) => `0 ${oldId}\t${path}\0`);
  for (const { path, newMode, newId } of entries) if (newMode !== ABSENT) lines.push(`${newMode} ${newId}\t${path}\0`);
  const input = Buffer.from(lines.join(""), "latin1");
  const args = [indexFile, start === "" ? "--empty" : start];
  return (await shell(place, WRITE_TREE, args, { input, signal })).toString("latin1").trim();
}

/** Makes a commit of Claude's out of what is not committed, and returns its id. Its tree is that of the first parent with the entries. */
export async function commitFiles(
  place: GitPlace,
  { parents, message, ...files }: Omit<WriteTreeOptions, "start"> & { parents: readonly string[]; message: string },
): Promise<string> {
  const treeId = await writeTree(place, { ...files, start: parents[0] ?? "" });
  const by = { ...place, config: { ...place.config, "user.name": CLAUDE.name, "user.email": CLAUDE.email } };
  const args = ["commit-tree", treeId, ...parents.flatMap((id) => ["-p", id]), "-m", message];
  return (await git(by, args, { signal: files.signal })).toString("latin1").trim();
}
