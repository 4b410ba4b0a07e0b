import { asArguments, joinPaths, parentsOf, type RawPath, splitPaths } from "../../proto/index.ts";
import { DIFF_FORMAT, type FileDiff, readDiff } from "./change-diff.ts";
import { type Script, shell } from "./git.ts";
import { FACTS, type PathFact, readFacts } from "./path-facts.ts";
import type { RawDiffEntry } from "./raw-diff.ts";
import { removeDirectory, scanPlace, type ScanPlaceOptions } from "./scan-place.ts";
import { withoutBlocking } from "./unblock-fifos.ts";

/** Above this, reading takes longer than anybody waits for a quick look. */
const MAX_BYTES = 32 * 1024 * 1024;

/** Most that the diff of so much may be. */
const MAX_OUTPUT_BYTES = 4 * MAX_BYTES;

/** Attributes by which git stores other bytes than a file has. */
const CONVERTING = ["text", "crlf", "eol", "ident", "working-tree-encoding"];

/**
 * Writes of the paths what the start commit has, then what find says of them and of a .git in them, then which are
 * ignored, then git's answer to that, then their attributes; an empty name in between. $1 the start tree, $2 whether
 * attributes are asked for, the rest the paths.
 */
const ASK: Script = {
  name: "ls-tree",
  text: `set -e
tree=$1; attributes=$2; shift 2
cd -- "$GIT_WORK_TREE"
git --literal-pathspecs ls-tree -t -z --full-tree "$tree" -- "$@"
printf '\\0'
{ printf './%s\\0' "$@"; printf './%s/.git\\0' "$@"; } | find -files0-from - ${FACTS.map((word) => `'${word}'`).join(" ")} || true
printf '\\0'
code=0
# The "./" keeps a name such as ":(top)" from being taken for a pattern.
printf './%s\\0' "$@" | git check-ignore -z --stdin --no-index || code=$?
printf '\\0%s\\0' $code
[ "$attributes" = none ] || printf '%s\\0' "$@" | git check-attr -z --stdin ${CONVERTING.join(" ")}`,
};

/**
 * Makes an index of nothing but the given files as they are now, and diffs it with these files of the start commit: an
 * index of the whole plays no part. Writes their sizes before the diff. $1 the index's directory, $2 the start tree, $3
 * whether there are attributes, the rest the files; stdin: what the start commit has of them.
 */
const DIFF: Script = {
  name: "update-index",
  text: `set -e
tree=$2
rm -rf -- "$1"
mkdir -p -- "$1/objects"
# What was committed with other line ends git leaves alone only if the index says so.
[ "$3" = none ] || git update-index -z --index-info
shift 3
cd -- "$GIT_WORK_TREE"
printf '%s\\0' "$@" | git update-index -z --add --remove --stdin
printf ':0:%s\\0' "$@" | git cat-file -z --batch-check='%(objectsize)' --buffer
printf '\\0'
exec git --literal-pathspecs diff-index --cached ${DIFF_FORMAT.join(" ")} --no-renames "$tree" -- "$@"`,
};

/** Differences of a few files from the start commit. */
export interface FewFiles {
  /** Difference of each file. Undefined: the file does not differ, or is ignored. */
  files: ReadonlyMap<RawPath, FileDiff | undefined>;
  /** Files that only a look at everything can judge: all but plain files in plain directories. */
  left: readonly RawPath[];
  /** Directories in which git ignores everything, and which the start commit does not have. */
  ignored: readonly RawPath[];
  /** Bytes that the look has stored. */
  stagedBytes: number;
}

/** Index for a look at a few files, and what is known already. */
export interface FewFilesOptions extends ScanPlaceOptions {
  /** Returns whether the last look at everything found that the file differs. */
  differed: (path: RawPath) => boolean;
  /** Whether there are any .gitattributes, and whether they differ from those of the start commit. */
  attributes: "none" | "some" | "changed";
  signal: AbortSignal;
}

/**
 * Looks at a few files alone, and finds of each what a look at everything would. Its cost depends on these files and
 * not on the repository: no index of the whole is read or written. It takes two starts of a process, which are
 * the most of it. The paths must be valid UTF-8.
 */
export async function lookAtFew(paths: readonly RawPath[], options: FewFilesOptions): Promise<FewFiles> {
  const { differed, attributes } = options;
  const { start, facts, ignored, converted } = await ask(paths, options);
  const plainFolder = (folder: RawPath): boolean =>
    facts.get(folder)?.type === "d" && !facts.has(`${folder}/.git`) && start.get(folder)?.type !== "commit";
  const canTell = (path: RawPath): boolean => {
    const { type, readable } = facts.get(path) ?? ({} as Partial<PathFact>);
    const was = start.get(path);
    if (!parentsOf(path).every(plainFolder) || (was !== undefined && was.type !== "blob")) return false;
    if (type === undefined) return parentsOf(path).every((folder) => facts.get(folder)?.readable === true);
    if (type !== "l" && !(type === "f" && readable === true)) return false;
    if (attributes === "changed" || converted.has(path)) return false;
    // Claude may track a file that git ignores.
    return was !== undefined || (ignored !== undefined && !(ignored.has(path) && differed(path)));
  };
  const hidden = [...facts.keys()].filter(
    (path) => ignored?.has(path) && !start.has(path) && [...parentsOf(path), path].every(plainFolder),
  );
  const told = paths.filter(canTell);
  const differing = told.filter((path) => start.has(path) || (facts.has(path) && ignored?.has(path) === false));
  const stagedBytes = differing.reduce((sum, path) => sum + (facts.get(path)?.sizeBytes ?? 0), 0);
  if (stagedBytes > MAX_BYTES) return { files: new Map(), left: paths, ignored: hidden, stagedBytes: 0 };
  const files = new Map<RawPath, FileDiff | undefined>(told.map((path) => [path, undefined]));
  for (const file of await diff(differing, start, options)) files.set(file.entry.path, file);
  return { files, left: paths.filter((path) => !files.has(path)), ignored: hidden, stagedBytes };
}

/** Frees what a look has stored. */
export async function forgetFew(options: ScanPlaceOptions & { signal: AbortSignal }): Promise<void> {
  const { directory, place } = scanPlace(options);
  await removeDirectory(place, directory, options);
}

interface TreeEntry {
  mode: string;
  type: string;
  id: string;
}

interface Answers {
  /** What the start commit has at the paths and at the directories that they are in. */
  start: Map<RawPath, TreeEntry>;
  /** What lies there now, and at a .git in each. */
  facts: Map<RawPath, PathFact>;
  /** Those that git ignores. Undefined: it could not tell. */
  ignored: Set<RawPath> | undefined;
  /**
   * Those that git may store as other bytes than they have: whether that is a change depends on what else is known of
   * them. "text=auto" leaves alone what was committed with other line ends.
   */
  converted: Set<RawPath>;
}

async function ask(paths: readonly RawPath[], options: FewFilesOptions): Promise<Answers> {
  const { base, workTree, attributes, signal } = options;
  const { place } = scanPlace(options);
  // The object directory comes with the diff.
  const reading = { ...place, variables: { GIT_DIR: base.gitDir, GIT_WORK_TREE: workTree } };
  const folders = [...new Set(paths.flatMap(parentsOf))];
  const args = [base.treeId, attributes, ...asArguments([...paths, ...folders]).slice(1)];
  const rest = splitPaths(
    await withoutBlocking(place, workTree, signal, (signal) => shell(reading, ASK, args, { signal })),
  );
  const next = (): string[] => rest.splice(0, rest.includes("") ? rest.indexOf("") + 1 : rest.length).filter(Boolean);
  const start = new Map(next().map(readTreeEntry));
  const facts = readFacts(next(), "./");
  const ignored = new Set(next().map((path) => path.slice(2)));
  const code = rest.shift();
  return { start, facts, ignored: code === "0" || code === "1" ? ignored : undefined, converted: readConverted(rest) };
}

function readTreeEntry(line: string): [RawPath, TreeEntry] {
  const [mode = "", type = "", id = ""] = line.slice(0, line.indexOf("\t")).split(" ");
  return [line.slice(line.indexOf("\t") + 1), { mode, type, id }];
}

function readConverted(fields: readonly string[]): Set<RawPath> {
  const converted = new Set<RawPath>();
  for (let at = 0; at + 2 < fields.length; at += 3) {
    const [path = "", name = "", value = ""] = fields.slice(at, at + 3);
    const harmless = value === "unspecified" || value === "unset" || (name === "text" && value === "auto");
    if (!harmless) converted.add(path);
  }
  return converted;
}

/** Returns the differences of the files that differ. */
async function diff(
  paths: readonly RawPath[],
  start: Answers["start"],
  options: FewFilesOptions,
): Promise<readonly FileDiff[]> {
  if (paths.length === 0) return [];
  const { base, workTree, attributes, signal } = options;
  const { place, directory } = scanPlace(options);
  const before = paths.flatMap((path) => indexLine(path, start.get(path)));
  const output = await withoutBlocking(place, workTree, signal, (signal) => {
    const args = [directory, base.treeId, attributes, ...asArguments(paths).slice(1)];
    return shell(place, DIFF, args, { signal, input: joinPaths(before), maxOutputBytes: MAX_OUTPUT_BYTES });
  });
  const sizes = new Map<RawPath, number>();
  let at = 0;
  for (const path of paths) {
    const missing = `:0:${path} missing`;
    const end = output.indexOf("\n", at + (output.indexOf(missing, at, "latin1") === at ? missing.length : 0));
    sizes.set(path, Number(output.toString("latin1", at, end)) || 0);
    at = end + 1;
  }
  const sizeOf = ({ path }: RawDiffEntry): number => sizes.get(path) ?? 0;
  return (await readDiff(output.subarray(at + 1), { patch: true, sizeOf })).files;
}

function indexLine(path: RawPath, was: TreeEntry | undefined): string[] {
  return was?.type === "blob" ? [`${was.mode} ${was.id}\t${path}`] : [];
}
