import { asArguments, joinPaths, parentsOf, type RawPath, splitPaths } from "../../proto/index.ts";
import { git, type GitPlace, type Script, shell, tryGit } from "./git.ts";
import { lookAt, type PathFact } from "./path-facts.ts";
import { ABSENT, type RawDiffEntry } from "./raw-diff.ts";
import { scanPlace, type ScanPlaceOptions } from "./scan-place.ts";
import { together } from "./together.ts";
import { withoutBlocking } from "./unblock-fifos.ts";

/** Above this, reading takes longer than anybody waits for a quick look. */
const MAX_BYTES = 32 * 1024 * 1024;

/** Attributes by which git stores other bytes than a file has. */
const CONVERTING = ["text", "crlf", "eol", "ident", "working-tree-encoding"];

/**
 * Makes an index of nothing but the given files, puts what they hold now into it, and lists it. $1 its directory, $2 the
 * work tree, $3 the length of what the files were in stdin; their paths follow it.
 */
const STAGE: Script = {
  name: "update-index",
  text: `set -e
rm -rf -- "$1"
mkdir -p -- "$1/objects"
head -c "$3" | git update-index -z --index-info
cd -- "$2"
git update-index -z --add --remove --stdin
exec git ls-files -s -z`,
};

/** Differences of a few files from the start commit. */
export interface FewFiles {
  /** Place where the differences can be read, until the next look. */
  place: GitPlace;
  /** Directory of that place's index. */
  directory: string;
  /** Difference of each file. Undefined: the file does not differ, or is ignored. */
  entries: ReadonlyMap<RawPath, RawDiffEntry | undefined>;
  /** Files that only a look at everything can judge: all but plain files in plain directories. */
  left: readonly RawPath[];
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
 * not on the repository: no index of the whole is read or written. The paths must be valid UTF-8.
 */
export async function lookAtFew(paths: readonly RawPath[], options: FewFilesOptions): Promise<FewFiles> {
  const { base, workTree, differed, attributes, signal } = options;
  const { place, directory } = scanPlace(options);
  // The object directory comes with the staging.
  const reading = { ...place, variables: { GIT_DIR: base.gitDir, GIT_WORK_TREE: workTree } };
  const folders = [...new Set(paths.flatMap(parentsOf))];
  const [start, facts, ignored, converted] = await withoutBlocking(place, workTree, signal, (signal) =>
    together(signal, (signal) => [
      listStart(reading, base.treeId, [...paths, ...folders], { signal }),
      lookAt(reading, workTree, [...paths, ...folders, ...folders.map((folder) => `${folder}/.git`)], { signal }),
      listIgnored(reading, workTree, paths, { signal }),
      attributes === "none" ? Promise.resolve(new Set<RawPath>()) : listConverted(reading, workTree, paths, { signal }),
    ]),
  );

  const plainFolder = (folder: RawPath): boolean =>
    facts.get(folder)?.type === "d" && !facts.has(`${folder}/.git`) && start.get(folder)?.type !== "commit";
  const canTell = (path: RawPath): boolean => {
    const { type, readable } = facts.get(path) ?? ({} as Partial<PathFact>);
    const was = start.get(path);
    if (!parentsOf(path).every(plainFolder) || (was !== undefined && was.type !== "blob")) return false;
    if (type === undefined) return parentsOf(path).every((folder) => facts.get(folder)?.readable === true);
    if (type !== "l" && !(type === "f" && readable === true)) return false;
    if (attributes === "changed" || converted?.has(path) !== false) return false;
    // Claude may track a file that git ignores.
    return was !== undefined || (ignored !== undefined && !(ignored.has(path) && differed(path)));
  };
  const told = paths.filter(canTell);
  const staged = told.filter((path) => start.has(path) || (facts.has(path) && ignored?.has(path) === false));
  const stagedBytes = staged.reduce((sum, path) => sum + (facts.get(path)?.sizeBytes ?? 0), 0);
  if (stagedBytes > MAX_BYTES) return { place, directory, entries: new Map(), left: paths, stagedBytes: 0 };

  const before = new Set(staged);
  const then = [...start].filter(([path, { type }]) => before.has(path) && type === "blob");
  const now = await stage(place, { directory, workTree, then, paths: staged, signal });
  const none = { mode: ABSENT, id: "0".repeat(base.treeId.length) };
  const entries = new Map<RawPath, RawDiffEntry | undefined>(told.map((path) => [path, undefined]));
  for (const path of staged) {
    const [was, is] = [start.get(path) ?? none, now.get(path) ?? none];
    if (was.mode === is.mode && was.id === is.id) continue;
    entries.set(path, { path, oldPath: path, oldMode: was.mode, oldId: was.id, newMode: is.mode, newId: is.id });
  }
  return { place, directory, entries, left: paths.filter((path) => !entries.has(path)), stagedBytes };
}

interface TreeEntry {
  mode: string;
  type: string;
  id: string;
}

/** Returns what the tree has at these paths, directories among it. */
async function listStart(
  place: GitPlace,
  treeId: string,
  paths: readonly RawPath[],
  options: { signal: AbortSignal },
): Promise<Map<RawPath, TreeEntry>> {
  const args = ["--literal-pathspecs", "ls-tree", "-t", "-z", "--full-tree", treeId, ...asArguments(paths)];
  return new Map(
    splitPaths(await git(place, args, options)).map((line) => {
      const [mode = "", type = "", id = ""] = line.slice(0, line.indexOf("\t")).split(" ");
      return [line.slice(line.indexOf("\t") + 1), { mode, type, id }];
    }),
  );
}

/** Returns which of the paths are ignored. Undefined: git could not tell. */
async function listIgnored(
  place: GitPlace,
  workTree: string,
  paths: readonly RawPath[],
  options: { signal: AbortSignal },
): Promise<Set<RawPath> | undefined> {
  // The "./" keeps a name such as ":(top)" from being taken for a pattern.
  const input = joinPaths(paths.map((path) => `./${path}`));
  const args = ["-C", workTree, "check-ignore", "-z", "--stdin", "--no-index"];
  const { code, stdout } = await tryGit(place, args, { ...options, input });
  return code === 0 || code === 1 ? new Set(splitPaths(stdout).map((path) => path.slice(2))) : undefined;
}

/**
 * Returns which of the paths git may store as other bytes than they have: whether that is a change depends on what else
 * is known of them. "text=auto" leaves alone what was committed with other line ends. Undefined: git could not tell.
 */
async function listConverted(
  place: GitPlace,
  workTree: string,
  paths: readonly RawPath[],
  options: { signal: AbortSignal },
): Promise<Set<RawPath> | undefined> {
  const args = ["-C", workTree, "check-attr", "-z", "--stdin", ...CONVERTING];
  const { code, stdout } = await tryGit(place, args, { ...options, input: joinPaths(paths) });
  if (code !== 0) return undefined;
  const fields = splitPaths(stdout);
  const converted = new Set<RawPath>();
  for (let at = 0; at + 2 < fields.length; at += 3) {
    const [path = "", name = "", value = ""] = fields.slice(at, at + 3);
    const harmless = value === "unspecified" || value === "unset" || (name === "text" && value === "auto");
    if (!harmless) converted.add(path);
  }
  return converted;
}

async function stage(
  place: GitPlace,
  options: {
    directory: string;
    workTree: string;
    then: readonly (readonly [RawPath, TreeEntry])[];
    paths: readonly RawPath[];
    signal: AbortSignal;
  },
): Promise<Map<RawPath, { mode: string; id: string }>> {
  const { directory, workTree, then, paths, signal } = options;
  const was = joinPaths(then.map(([path, { mode, id }]) => `${mode} ${id}\t${path}`));
  const input = Buffer.concat([was, joinPaths(paths)]);
  const args = [directory, workTree, String(was.length)];
  const listed = await withoutBlocking(place, workTree, signal, (signal) =>
    shell(place, STAGE, args, { signal, input }),
  );
  return new Map(
    splitPaths(listed).map((line) => {
      const [mode = "", id = ""] = line.slice(0, line.indexOf("\t")).split(" ");
      return [line.slice(line.indexOf("\t") + 1), { mode, id }];
    }),
  );
}
