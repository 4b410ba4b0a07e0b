import { create } from "@bufbuild/protobuf";
import {
  type FileChange,
  FileChange_Kind,
  FileChangeSchema,
  findPatchMismatch,
  pieces,
  quotePath,
} from "../../proto/index.ts";
import { git, type GitPlace, type Script, shell, tryShell } from "./git.ts";
import {
  ABSENT,
  GITLINK,
  type LineCounts,
  parseDiff,
  type RawDiffEntry,
  sectionCount,
  splitPatch,
} from "./raw-diff.ts";
import { together } from "./together.ts";

/** Flags that fix the patch format, whatever the defaults of the installed git are. */
const PATCH_FORMAT = [
  "--binary",
  "--full-index",
  "--no-color",
  "--no-ext-diff",
  "--no-textconv",
  "--src-prefix=a/",
  "--dst-prefix=b/",
  "--submodule=short",
  "--diff-algorithm=myers",
  "--unified=3",
  "--inter-hunk-context=0",
  "--no-relative",
];

/** A list of the files, and counts of their lines. */
const LIST_FORMAT = ["--raw", "--numstat", "--no-abbrev", "-z"];
/** Flags of a diff that `readDiff` reads: the list, counts of lines, and the patch. */
export const DIFF_FORMAT = [...LIST_FORMAT, "--patch", ...PATCH_FORMAT];

/**
 * Diffs two small trees that hold nothing but the given files: no path has to go through an argument list, where a
 * Node program cannot pass every byte, and the cost does not depend on the repository. $1 is a directory for the two
 * indexes, $2 the length of the old side in stdin, $3 the empty tree, the rest are flags of the diff.
 */
const DIFF: Script = {
  name: "diff-index",
  text: `set -e
dir=$1; size=$2; tree=$3; shift 3
rm -f "$dir/old" "$dir/new"
if [ "$size" != 0 ]; then
  head -c "$size" | GIT_INDEX_FILE=$dir/old git update-index -z --index-info
  tree=$(GIT_INDEX_FILE=$dir/old git write-tree --missing-ok)
fi
GIT_INDEX_FILE=$dir/new git update-index -z --index-info
GIT_INDEX_FILE=$dir/new exec git diff-index --cached "$@" "$tree"`,
};

/** Applies the patch in stdin to the old side of the last diff and fails unless that makes the new side. */
const CHECK: Script = {
  name: "apply",
  text: `set -e
rm -f "$1/check"
[ ! -e "$1/old" ] || cp "$1/old" "$1/check"
export GIT_INDEX_FILE=$1/check
git apply --cached --binary --whitespace=nowarn
made=$(git write-tree --missing-ok)
export GIT_INDEX_FILE=$1/new
[ "$made" = "$(git write-tree --missing-ok)" ]`,
};

/** Difference of a file, with its part of the patch. */
export interface FileDiff {
  entry: RawDiffEntry;
  change: FileChange;
  patch: Buffer;
}

/** Form and limits of a diff. */
export interface DiffOptions {
  /** Directory for the diff's indexes. It belongs to the place's identity. */
  directory: string;
  emptyTree: string;
  /** Whether to find renames. */
  renames: boolean;
  /** Whether to make the patch. Without, there are only the changes. */
  patch: boolean;
  /** Most bytes of the patch. */
  maxPatchBytes: number;
  /** Sizes of the objects, if they are known already from objectSizes. */
  sizes?: ReadonlyMap<string, number> | undefined;
  signal: AbortSignal;
}

/** Returns the diff of the given files, in git's order. Throws OUTPUT_TOO_LARGE for a patch above the limit. */
export async function diffFiles(
  place: GitPlace,
  entries: readonly RawDiffEntry[],
  options: DiffOptions,
): Promise<{ files: FileDiff[]; patch: Buffer }> {
  if (entries.length === 0) return { files: [], patch: Buffer.alloc(0) };
  const { signal } = options;
  const old = indexInfo(entries, (entry) => [entry.oldMode, entry.oldId]);
  const input = Buffer.concat([old, indexInfo(entries, (entry) => [entry.newMode, entry.newId])]);
  const flags = [options.renames ? "-M" : "--no-renames", ...(options.patch ? DIFF_FORMAT : LIST_FORMAT)];
  // Each path comes up to four times before the patch.
  const maxOutputBytes = options.maxPatchBytes + entries.reduce((sum, { path }) => sum + 4 * path.length + 400, 0);
  const args = [options.directory, String(old.length), options.emptyTree, ...flags];
  const [output, sizes] = await together(signal, (signal) => [
    shell(place, DIFF, args, { input, signal, maxOutputBytes }),
    options.sizes === undefined ? objectSizes(place, entries, { signal }) : Promise.resolve(options.sizes),
  ]);
  return await readDiff(output, { patch: options.patch, sizeOf: ({ newId }) => sizes.get(newId) ?? 0 });
}

/** Reads a diff in DIFF_FORMAT, or one without a patch. `sizeOf` returns the size of an entry's new side (bytes). */
export async function readDiff(
  output: Buffer,
  options: { patch: boolean; sizeOf: (entry: RawDiffEntry) => number },
): Promise<{ files: FileDiff[]; patch: Buffer }> {
  const diff = parseDiff(output);
  const patch = quoteHeaders(diff.patch, diff.entries);
  const sections = splitPatch(patch);
  let at = 0;
  const files = diff.entries.map((entry, index) => {
    const count = options.patch ? sectionCount(entry) : 0;
    const own = sections.slice(at, at + count);
    at += count;
    // Sections lie side by side in one buffer: two make one view.
    const start = own[0]?.byteOffset ?? 0;
    const length = own.reduce((sum, section) => sum + section.length, 0);
    const part = own[0] === undefined ? Buffer.alloc(0) : Buffer.from(own[0].buffer, start, length);
    return { entry, change: fileChange(entry, diff.counts[index], options.sizeOf(entry)), patch: part };
  });
  if (at !== sections.length) throw new Error(`the patch has ${sections.length} sections, its list has ${at}`);
  if (options.patch) await requireAgreement(files, patch);
  return { files, patch };
}

/** Throws where git's patch is not what its list says: somebody has been at one of them, or it is written in a way unknown to us. */
async function requireAgreement(files: readonly FileDiff[], patch: Buffer): Promise<void> {
  const changes = files.map(({ change }) => change);
  const mismatch = await findPatchMismatch(pieces(patch), { changes, changeCount: changes.length });
  if (mismatch !== undefined) throw new Error(`the patch is not what its list says: ${mismatch}`);
}

/**
 * Returns whether the patch turns the old side of the directory's last diff into the new one. git diff writes patches
 * that git apply refuses: of a renamed symbolic link whose place a directory took, for one.
 */
export async function patchApplies(
  place: GitPlace,
  directory: string,
  patch: Buffer,
  options: { signal: AbortSignal },
): Promise<boolean> {
  return (await tryShell(place, CHECK, [directory], { ...options, input: patch })).code === 0;
}

/**
 * Puts the names in "diff --git" lines into quotes where one has a space before a slash: git apply takes the second
 * half of such a name for a path of its own, unless another line repeats it, which is missing for binary and empty
 * files. Quotes are always allowed.
 */
function quoteHeaders(patch: Buffer, entries: readonly RawDiffEntry[]): Buffer {
  const unclear = new Map<string, string>();
  for (const { path, oldPath } of entries) {
    if (!path.includes(" /") && !oldPath.includes(" /")) continue;
    const name = (side: string): string => (quotePath(side) === side ? side : quotePath(side).slice(1, -1));
    const header = (quote: string): string =>
      `diff --git ${quote}a/${name(oldPath)}${quote} ${quote}b/${name(path)}${quote}\n`;
    unclear.set(header(""), header('"'));
  }
  if (unclear.size === 0) return patch;
  return Buffer.concat(
    splitPatch(patch).flatMap((section) => {
      const end = section.indexOf(10) + 1;
      const header = unclear.get(section.toString("latin1", 0, end));
      return header === undefined ? [section] : [Buffer.from(header, "latin1"), section.subarray(end)];
    }),
  );
}

function indexInfo(entries: readonly RawDiffEntry[], side: (entry: RawDiffEntry) => [string, string]): Buffer {
  let text = "";
  for (const entry of entries) {
    const [mode, id] = side(entry);
    if (mode !== ABSENT) text += `${mode} ${id}\t${entry.path}\0`;
  }
  return Buffer.from(text, "latin1");
}

/**
 * Returns the sizes (bytes) of the objects on both sides of the entries, by id. Submodules have none: their objects are
 * elsewhere.
 */
export async function objectSizes(
  place: GitPlace,
  entries: readonly Pick<RawDiffEntry, "oldMode" | "oldId" | "newMode" | "newId">[],
  options: { signal: AbortSignal },
): Promise<Map<string, number>> {
  const ids = new Set<string>();
  for (const { oldMode, oldId, newMode, newId } of entries) {
    if (oldMode !== ABSENT && oldMode !== GITLINK) ids.add(oldId);
    if (newMode !== ABSENT && newMode !== GITLINK) ids.add(newId);
  }
  if (ids.size === 0) return new Map();
  const input = [...ids].map((id) => `${id}\n`).join("");
  const output = await git(place, ["cat-file", "--batch-check=%(objectsize)", "--buffer"], { ...options, input });
  const sizes = output.toString("latin1").split("\n");
  return new Map([...ids].map((id, at) => [id, Number(sizes[at]) || 0]));
}

function fileChange(entry: RawDiffEntry, counts: LineCounts, sizeBytes: number): FileChange {
  const renamed = entry.oldPath !== entry.path;
  return create(FileChangeSchema, {
    path: quotePath(entry.path),
    previousPath: renamed ? quotePath(entry.oldPath) : "",
    kind: renamed ? FileChange_Kind.RENAMED : kindOf(entry),
    addedLineCount: counts?.added ?? 0,
    deletedLineCount: counts?.deleted ?? 0,
    binary: counts === undefined,
    sizeBytes: BigInt(sizeBytes),
  });
}

function kindOf({ oldMode, newMode, oldId, newId }: RawDiffEntry): FileChange_Kind {
  if (oldMode === ABSENT) return FileChange_Kind.ADDED;
  if (newMode === ABSENT) return FileChange_Kind.DELETED;
  return oldId === newId ? FileChange_Kind.MODE_CHANGED : FileChange_Kind.MODIFIED;
}
