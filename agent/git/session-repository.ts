import { setTimeout as sleep } from "node:timers/promises";
import { AppError, gitFailed, joinPaths, redactUri, splitPaths, type SubmoduleSnapshot } from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import type { RunResult } from "../process/run.ts";
import { type BaseRepository, type CheckedOut, type ObjectFormat, rawPaths } from "./base-repository.ts";
import { type Progress, progressReader } from "./clone-progress.ts";
import { FILTER_LARGE, LARGE_FILTER } from "./large-filter.ts";
import {
  git,
  type GitPlace,
  OUR_ATTRIBUTES,
  REMOVE,
  runIn,
  type Script,
  SESSION_ATTRIBUTES,
  shell,
  tryShell,
} from "./git.ts";
import { crowdedNotice, roomIn, throwIfFull } from "./room.ts";
import { LIVE, scanPlace } from "./scan-place.ts";

/** The author of what Claude commits. */
const AUTHOR = { name: "Claude", email: "noreply@anthropic.com" };

const BLOCK_BYTES = 4096;

/** Files of a checkout that took longer take long to read (ms). */
const SLOW_CHECKOUT_MS = 200;
/** Into the next second: times of files are some milliseconds behind. */
const NEXT_SECOND_MS = 1020;

/** Two write files at once: a container has two processors by default, and a few more would not help. */
const CHECKOUT_CONFIG = { "checkout.workers": "2" };

/** Gives a fresh .git what git init does not: $1 base, $2 HEAD, $3 configuration, $4 attributes, $5 the remote's default branch, $6 a directory, if HEAD is to be checked out, for a copy of the index of that; packed-refs from stdin. */
const FURNISH: Script = {
  name: "init",
  text: `set -e
cd -- "$GIT_DIR"
mkdir -p info
printf '%s/objects\\n' "$1" > objects/info/alternates
[ ! -e "$1/shallow" ] || cat "$1/shallow" > shallow
printf '%s\\n' "$2" > HEAD
printf '%s' "$3" >> config
printf '%s' "$4" > info/attributes
[ -z "$5" ] || { mkdir -p refs/remotes/origin; printf 'ref: refs/remotes/origin/%s\\n' "$5" > refs/remotes/origin/HEAD; }
cat > packed-refs
[ $# -gt 5 ] || exit 0
git -C "$GIT_WORK_TREE" checkout --progress -f
mkdir -p -- "$6/objects"
cp --preserve=timestamps -- index "$6/index"`,
};

/** The facts of files that the index has as they are stay, so that git need not read them. $1 HEAD, $2 a commit of the index, $3 a directory; stdin: files that it holds without content, where $4 is their number. */
const CHECK_OUT_SNAPSHOT: Script = {
  name: "read-tree",
  text: `set -e
git -C "$GIT_WORK_TREE" read-tree -i -m "$2"
[ "$4" = 0 ] || git -C "$GIT_WORK_TREE" --literal-pathspecs add --intent-to-add --force --pathspec-from-file=- --pathspec-file-nul
printf '%s\\n' "$1" > "$GIT_DIR/HEAD"
[ -z "$3" ] || mkdir -p -- "$GIT_WORK_TREE/$3"`,
};

/** User whose repository it is, and the kind of its ids. */
interface InitializeOptions {
  objectFormat?: ObjectFormat;
  identity: Identity | undefined;
  signal: AbortSignal;
}

/**
 * Has the repository around a submodule know it, as git submodule update would: its git directory goes there. Where
 * .gitmodules does not name it, it stays as it is. $1 is the submodule.
 */
const REGISTER: Script = {
  name: "submodule",
  text: `set -e
git -C "$1" update-index -q --refresh || :
cd -- "$1/.."
top=$(git rev-parse --show-toplevel)
cd -- "$top"
path=\${1#"$top/"}
git submodule -q init -- "$path" && git submodule absorbgitdirs -- "$path" || :`,
};

/** Place of git commands in a repository with a work tree. */
type Inside = GitPlace & { variables: { GIT_DIR: string; GIT_WORK_TREE: string } };

function insideOf(workTree: string, identity: Identity | undefined): Inside {
  return { identity, variables: { GIT_DIR: `${workTree}/.git`, GIT_WORK_TREE: workTree } };
}

/** Makes a repository around the work tree, with nothing in it: ids of this kind nearly all have. */
export async function initializeRepository(
  workTree: string,
  { objectFormat = "sha1", identity, signal }: InitializeOptions,
): Promise<void> {
  const format = `--object-format=${objectFormat}`;
  await git({ identity }, ["init", "-q", "--template=", format, "--initial-branch=main", "--", workTree], { signal });
}

/**
 * Makes the session's repository of one that has nothing in it, and checks the start commit out, with its attributes but without
 * filters. It is an ordinary repository to Claude, and borrows its objects from the base. Nothing in it is relied on
 * later: a directory in `scanDirectory` gets a copy of the index, before anybody can change that.
 */
export async function makeSessionRepository(
  base: BaseRepository,
  { workTree, scanDirectory }: { workTree: string; scanDirectory: string },
  options: { identity: Identity | undefined; onProgress: (progress: Progress) => void; signal: AbortSignal },
): Promise<void> {
  const { identity, signal } = options;
  const head = base.checkedOut === undefined ? headOf(base) : base.commitId;
  if (base.objectFormat !== "sha1") {
    await shell({ identity }, REMOVE, [`${workTree}/.git`], { signal });
    await initializeRepository(workTree, { objectFormat: base.objectFormat, identity, signal });
  }
  const inside = insideOf(workTree, identity);
  if (base.commitId === "") {
    await furnish(base, inside, { head, signal });
    return;
  }
  const room = await roomIn(workTree);
  const start = performance.now();
  const { directory: copyIndexTo } = scanPlace({ base, workTree, scanDirectory, name: LIVE, identity });
  const result = await tryFurnish(base, inside, { head, copyIndexTo, onProgress: options.onProgress, signal });
  if (result.code === 0) {
    const indexes = [`${inside.variables.GIT_DIR}/index`, `${copyIndexTo}/index`];
    await settleIndexes(indexes, inside, performance.now() - start, { signal });
    const stage = await crowdedNotice(workTree, room);
    if (stage !== undefined) options.onProgress({ stage });
    return;
  }
  const cause = gitFailed(["checkout"], result);
  const neededBytes = () => treeSize(inside, base, { signal });
  const scan = { directory: scanDirectory, use: "scan" } as const;
  await throwIfFull([{ directory: workTree, use: "workTree", neededBytes }, scan], cause);
  const uri = redactUri(base.origin?.uri ?? "");
  const help = "A repository with paths that git refuses cannot be used.";
  throw new AppError(
    "REPOSITORY_INVALID",
    `Could not check out ${base.commitId} of ${uri}: ${cause.metadata["said"] ?? ""}.`,
    {
      help,
      cause,
      metadata: { uri, commit_id: base.commitId, ...cause.metadata },
    },
  );
}

/**
 * Makes the index of a fresh checkout, and the copy of it, newer than its files. git reads files again each time that it writes an index of
 * the same second (Documentation/technical/racy-git.txt), which takes longer than the checkout itself. Nobody has changed a
 * file yet, and the next second is waited for, so the later time is true.
 */
async function settleIndexes(
  indexes: readonly string[],
  place: GitPlace,
  checkoutMs: number,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  if (checkoutMs < SLOW_CHECKOUT_MS) return;
  await sleep(NEXT_SECOND_MS - (Date.now() % 1000), undefined, { signal });
  await runIn(place, "touch", ["--", ...indexes], { signal });
}

interface FurnishOptions {
  head: string;
  /** Directory for a copy of the index, if HEAD is to be checked out as well. Undefined: it is not. */
  copyIndexTo?: string;
  onProgress?: (progress: Progress) => void;
  signal: AbortSignal;
}

/** Has a fresh repository borrow its objects from the base, with nothing checked out. Throws GIT_FAILED. */
async function furnish(base: BaseRepository, inside: Inside, options: FurnishOptions): Promise<void> {
  const result = await tryFurnish(base, inside, options);
  if (result.code !== 0) throw gitFailed([FURNISH.name], result);
}

/** Has a fresh repository borrow its objects from the base, and returns how that ended. */
async function tryFurnish(
  base: BaseRepository,
  inside: Inside,
  { head, copyIndexTo, onProgress = () => undefined, signal }: FurnishOptions,
): Promise<RunResult> {
  const facts = [
    base.gitDir,
    head,
    configuration(base),
    SESSION_ATTRIBUTES,
    remoteHead(base),
    ...(copyIndexTo === undefined ? [] : [copyIndexTo]),
  ];
  return await tryShell({ ...inside, config: CHECKOUT_CONFIG }, FURNISH, facts, {
    input: base.packedRefs,
    signal,
    onStderr: progressReader(onProgress),
  });
}

/**
 * Has the fresh repository of a snapshot's start say what the one outside said: HEAD and index are those of there, the files
 * stay. Makes the directory in which Claude starts, which git does not keep if it was empty.
 */
export async function checkOutSnapshot(
  base: BaseRepository,
  workTree: string,
  { identity, signal }: { identity: Identity | undefined; signal: AbortSignal },
): Promise<void> {
  if (base.checkedOut === undefined) return;
  const { subdirectory, submodules } = base.checkedOut;
  await checkOut(base.checkedOut, { workTree, head: headOf(base), subdirectory, identity, signal });
  for (const submodule of submodules) await makeSubmodule(base, submodule, { workTree, identity, signal });
}

async function checkOut(
  { indexCommitId, intentToAdd, largePaths }: Pick<CheckedOut, "indexCommitId" | "intentToAdd" | "largePaths">,
  place: { workTree: string; head: string; subdirectory: string; identity: Identity | undefined; signal: AbortSignal },
): Promise<void> {
  const { workTree, head, subdirectory, identity, signal } = place;
  const inside = insideOf(workTree, identity);
  const input = joinPaths(intentToAdd);
  await shell(inside, CHECK_OUT_SNAPSHOT, [head, indexCommitId, subdirectory, String(intentToAdd.length)], {
    input,
    signal,
  });
  if (largePaths.length > 0) {
    await shell(inside, FILTER_LARGE, [OUR_ATTRIBUTES, LARGE_FILTER], { input: joinPaths(largePaths), signal });
  }
}

/** Makes a repository of a directory of the start, as git makes one of a submodule. */
async function makeSubmodule(
  base: BaseRepository,
  { path, branch, headCommitId, indexCommitId, intentToAddPaths, largePaths }: SubmoduleSnapshot,
  { workTree, identity, signal }: { workTree: string; identity: Identity | undefined; signal: AbortSignal },
): Promise<void> {
  const directory = `${workTree}/${path}`;
  const packedRefs = branch === "" ? "" : `${headCommitId} ${branch}\n`;
  const head = branch === "" ? headCommitId : `ref: ${branch}`;
  const own = { ...base, commitId: "", origin: undefined, branch: undefined, packedRefs };
  await initializeRepository(directory, { objectFormat: base.objectFormat, identity, signal });
  await furnish(own, insideOf(directory, identity), { head, signal });
  const intentToAdd = rawPaths(intentToAddPaths);
  await checkOut(
    { indexCommitId, intentToAdd, largePaths: rawPaths(largePaths) },
    { workTree: directory, head, subdirectory: "", identity, signal },
  );
  await shell({ identity }, REGISTER, [directory], { signal });
}

/** What HEAD is to hold: a branch's name, or the id of a commit. */
function headOf({ branch, checkedOut, commitId }: BaseRepository): string {
  return branch === undefined ? (checkedOut?.headCommitId ?? commitId) : `ref: refs/heads/${branch}`;
}

/** Returns what the files of the start commit take, by whole blocks. */
async function treeSize(
  place: GitPlace,
  { treeId }: BaseRepository,
  options: { signal: AbortSignal },
): Promise<number> {
  const lines = splitPaths(await git(place, ["ls-tree", "-r", "-l", "-z", treeId], options));
  const sizes = lines.map((line) => Number(/^\d+ blob [0-9a-f]+ +(\d+)\t/.exec(line)?.[1] ?? 0));
  return sizes.reduce((sum, size) => sum + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES, 0);
}

/** Returns the default branch if it was fetched: a symbolic ref to nothing would be in Claude's way. */
function remoteHead({ origin, branch }: BaseRepository): string {
  const name = origin?.defaultBranch;
  return name !== undefined && (name === branch || origin?.wholeHistory === true) ? name : "";
}

function configuration({ origin, branch }: BaseRepository): string {
  let text = section("user", undefined, AUTHOR);
  if (origin === undefined) return text;
  const wanted = origin.wholeHistory || branch === undefined ? "*" : branch;
  text += section("remote", "origin", {
    url: origin.uri,
    fetch: `+refs/heads/${wanted}:refs/remotes/origin/${wanted}`,
  });
  if (branch !== undefined) text += section("branch", branch, { remote: "origin", merge: `refs/heads/${branch}` });
  return text;
}

function section(name: string, subsection: string | undefined, values: Record<string, string>): string {
  const quote = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`;
  const lines = Object.entries(values).map(([key, value]) => `\t${key} = ${quote(value)}\n`);
  return `[${name}${subsection === undefined ? "" : ` ${quote(subsection)}`}]\n${lines.join("")}`;
}
