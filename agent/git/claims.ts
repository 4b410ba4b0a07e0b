import { lstat } from "node:fs/promises";
import { type RawPath, splitPaths } from "../../proto/index.ts";
import { type GivenClaims, OBJECT_FORMATS } from "./base-repository.ts";
import { type GitPlace, type Script, tryShell } from "./git.ts";
import { ABSENT, GITLINK, parseDiff, type RawDiffEntry } from "./raw-diff.ts";

/** For asking Claude's repository anything: it may be whatever Claude made of it, also a trap. */
const TIMEOUT_S = 5;
/** Comparing the index of a million files takes a few seconds. */
const COMPARE_TIMEOUT_S = 60;
/** Names of half a million files. */
const MAX_BYTES = 64 * 1024 * 1024;

/** What git ls-files -t puts before files with the skip-worktree flag, of git sparse-checkout for one. */
const SKIPPED = "S ";
const COMPLETE = "complete";
/** Of a command that a signal ended. */
const KILLED = 128 + 9;

/**
 * Writes what HEAD is, whether the index could be read, how index and HEAD differ from the start, and which files the
 * index has without their being in the work tree, each with a NUL after it, and at last whether all could be read.
 * Nothing but the places of files is asked of Claude's repository: they are then read with the base as the git
 * directory, whose configuration is ours. $1 is the work tree, $2 the start tree.
 */
const COMPARE: Script = {
  name: "diff-index",
  text: `cd -- "$1" || exit
theirs() { timeout -s KILL ${TIMEOUT_S} env -u GIT_INDEX_FILE -u GIT_OBJECT_DIRECTORY GIT_DIR="$PWD/.git" \\
  git rev-parse --path-format=absolute "$@" 2>/dev/null; }
failed=
head=$(theirs --verify --quiet HEAD) || [ $? -lt ${KILLED} ] || failed=1
index=$(theirs --git-path index) || [ ! -e .git ] || failed=1
GIT_OBJECT_DIRECTORY=$(theirs --git-path objects)
export GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES="$GIT_DIR/objects"
ours() { timeout -s KILL ${COMPARE_TIMEOUT_S} git "$@" 2>/dev/null; }
compare() { ours "$@" --raw -z --no-abbrev --no-renames; }
skipped() { ours ls-files -t -z || printf '\\0${SKIPPED}\\0'; }
printf '%s\\0' "$head"
[ -e "$index" ] && GIT_INDEX_FILE=$index compare diff-index --cached --ita-visible-in-index "$2"
status=$?
[ ! -e "$index" ] || [ $status = 0 ] || failed=1
printf '\\0%s\\0' $status
[ -z "$head" ] || compare diff-tree -r "$2" "$head" || failed=1
printf '\\0'
[ -e "$index" ] && GIT_INDEX_FILE=$index skipped | LC_ALL=C grep -az '^${SKIPPED}'
[ -n "$failed" ] || printf '${COMPLETE}\\0'`,
};

/**
 * Claims of Claude's own repository: what its index and its checked out commit say. Only names of files are taken from
 * it; what a file holds is read from the work tree.
 */
export interface Claims {
  /** Commit that is checked out. Empty: the repository does not say. */
  headCommitId: string;
  /** Files that it tracks and the start commit does not have. .gitignore does not apply to them. */
  added: ReadonlySet<RawPath>;
  /** Files of the start commit that have another content there, with the id of that content. */
  modified: ReadonlyMap<RawPath, string>;
  /**
   * Submodules that are at another commit than in the start commit, with that commit. Empty: it is not tracked any
   * more.
   */
  submodules: ReadonlyMap<RawPath, string>;
  /**
   * Files that it tracks and that need not be in the work tree, as with a sparse checkout. Their absence is no
   * deletion.
   */
  skipped: ReadonlySet<RawPath>;
  /**
   * Files whose content in the index differs from the start commit and from the checked out commit. Skipped files count
   * if they differ from the start commit.
   */
  staged: readonly RawDiffEntry[];
  /** Whether it may say more: some of it could not be read, or not in time. */
  incomplete: boolean;
}

/** Claims of a repository that says nothing. */
export const NO_CLAIMS: Claims = {
  headCommitId: "",
  added: new Set(),
  modified: new Map(),
  submodules: new Map(),
  skipped: new Set(),
  staged: [],
  incomplete: false,
};

/** Returns what Claude's repository says. What cannot be read is left out, and makes the claims incomplete. */
export async function readClaims(
  place: GitPlace,
  options: { workTree: string; startTree: string; given?: GivenClaims | undefined; signal: AbortSignal },
): Promise<Claims> {
  const { workTree, startTree, given = { index: [], head: [] }, signal } = options;
  const run = { signal, maxOutputBytes: MAX_BYTES };
  try {
    return parseClaims((await tryShell(place, COMPARE, [workTree, startTree], run)).stdout, given);
  } catch {
    signal.throwIfAborted();
    return { ...NO_CLAIMS, incomplete: true }; // Too much of it, or cut off by its time limit.
  }
}

/** Returns a stamp of Claude's index, which changes when the index is written. Undefined: it cannot be seen. */
export async function claimsStamp(workTree: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await lstat(`${workTree}/.git/index`, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join(" ");
  } catch {
    return undefined;
  }
}

function parseClaims(output: Buffer, given: GivenClaims): Claims {
  const idEnd = output.indexOf(0);
  const id = output.toString("latin1", 0, Math.max(idEnd, 0));
  const index = parseDiff(output.subarray(idEnd + 1));
  const statusEnd = index.patch.indexOf(0);
  const indexWasRead = index.patch.toString("latin1", 0, statusEnd) === "0";
  const head = parseDiff(index.patch.subarray(statusEnd + 1));
  const added = new Set<RawPath>();
  const modified = new Map<RawPath, string>();
  const submodules = new Map<RawPath, string>();
  const isGiven = { index: among(given.index), head: among(given.head) };
  const note = (entry: RawDiffEntry, { pointers, isGiven }: NoteOptions): void => {
    const { path, oldMode, newMode, oldId, newId } = entry;
    if (!isPathOfFile(path)) return;
    // What is tracked stays so where the start does not have it.
    if (isGiven(entry) && (oldMode !== ABSENT || newMode === GITLINK)) return;
    if (newMode === GITLINK) {
      if (pointers) submodules.set(path, newId);
    } else if (newMode === ABSENT) {
      if (pointers && oldMode === GITLINK) submodules.set(path, "");
    } else if (oldMode === ABSENT) added.add(path);
    else if (oldId !== newId) modified.set(path, newId);
  };
  for (const entry of head.entries) note(entry, { pointers: !indexWasRead, isGiven: isGiven.head });
  for (const entry of index.entries) note(entry, { pointers: true, isGiven: isGiven.index });
  const lines = splitPaths(head.patch);
  const incomplete = lines.at(-1) !== COMPLETE || lines.includes(SKIPPED);
  const listed = lines.filter((line) => line.startsWith(SKIPPED));
  const skipped = new Set(listed.map((line) => line.slice(SKIPPED.length)).filter(isPathOfFile));
  const committed = new Map(head.entries.map(({ path, newId }) => [path, newId]));
  const staged = index.entries.filter(
    (entry) =>
      holdsContent(entry) &&
      !isGiven.index(entry) &&
      (skipped.has(entry.path) || committed.get(entry.path) !== entry.newId),
  );
  return { headCommitId: isObjectId(id) ? id : "", added, modified, submodules, skipped, staged, incomplete };
}

interface NoteOptions {
  /** Submodules count. */
  pointers: boolean;
  isGiven: (entry: RawDiffEntry) => boolean;
}

function among(entries: readonly RawDiffEntry[]): (entry: RawDiffEntry) => boolean {
  const nameOf = ({ path, newMode, newId }: RawDiffEntry): string => `${newMode} ${newId} ${path}`;
  const known = new Set(entries.map(nameOf));
  return (entry) => known.has(nameOf(entry));
}

/** Says whether the entry is a file whose content is another one. A new one of git add --intent-to-add has none. */
function holdsContent({ path, oldMode, newMode, oldId, newId }: RawDiffEntry): boolean {
  if (newMode === ABSENT || newMode === GITLINK || newId === oldId || !isPathOfFile(path)) return false;
  return oldMode !== ABSENT || !Object.values(OBJECT_FORMATS).some(({ emptyBlob }) => emptyBlob === newId);
}

/** Returns whether this is the id of an object, of either kind. */
export function isObjectId(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

/** Says whether git would have written the path: an index that somebody made can hold any. */
function isPathOfFile(path: RawPath): boolean {
  return !path.split("/").some((part) => part === "" || part === "." || part === ".." || /^\.git$/i.test(part));
}
