import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  AppError,
  gitFailed,
  HARMLESS_GIT_FAULTS,
  lastLine,
  type RawPath,
  rawPathOf,
  redactUri,
  type RepositorySnapshot,
  type RepositorySpec,
  SNAPSHOT_REF,
  type SubmoduleSnapshot,
} from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import type { RunResult } from "../process/run.ts";
import { type Progress, progressReader, wholeSize } from "./clone-progress.ts";
import { git, type GitPlace, OUR_ATTRIBUTES, RAW_ATTRIBUTES, type Script, shell, tryShell } from "./git.ts";
import { parseRawDiff, type RawDiffEntry } from "./raw-diff.ts";
import {
  HEAD_PACKET,
  isCommitId,
  readHead,
  refNotFound,
  type RemoteRef,
  remotePlace,
  resolveRemoteRef,
  type UrlConfig,
} from "./remote.ts";
import { retryCut, type RetryCutOptions } from "./retry-cut.ts";
import { throwIfFull } from "./room.ts";
import { together } from "./together.ts";
import { within } from "../wait.ts";

/** Start of a session: a bare repository that the session can read and not write. */
export interface BaseRepository {
  /** Git directory of it. */
  gitDir: string;
  /** Git directory without objects in which attributes change no bytes. */
  rawGitDir: string;
  /** Commit that the session starts from. Empty: there is none, the session starts without files. */
  commitId: string;
  /** Tree of that commit, or git's empty tree. */
  treeId: string;
  objectFormat: ObjectFormat;
  /** Remote that the session's repository names origin. Undefined: there is none. */
  origin: { uri: string; wholeHistory: boolean; defaultBranch: string | undefined } | undefined;
  /** Local branch that the session starts on. Undefined: HEAD is detached, at a tag or a commit. */
  branch: string | undefined;
  /** Refs of the session's repository besides its branch, as a packed-refs file. */
  packedRefs: string;
  /** What is checked out where the start is a snapshot of a work tree. Undefined: the start commit itself. */
  checkedOut: CheckedOut | undefined;
}

/** What the repository of a snapshot had checked out: HEAD and index are not those of the start commit. */
export interface CheckedOut {
  /** "": there is no commit yet. */
  headCommitId: string;
  indexCommitId: string;
  /** Files that the index holds without content. */
  intentToAdd: readonly RawPath[];
  /** How both differ from the start, before Claude has done anything. */
  given: GivenClaims;
  /** Files of Git LFS whose content the start has, where HEAD and the index have pointers. */
  largePaths: readonly RawPath[];
  /** Where Claude starts, from the top. "": at the top. */
  subdirectory: string;
  /** Repositories in the work tree whose files are those of the start. What is in one comes after it. */
  submodules: readonly SubmoduleSnapshot[];
}

/** How index and HEAD differ from the start before Claude has done anything: none of it is a claim of Claude's. */
export interface GivenClaims {
  index: readonly RawDiffEntry[];
  head: readonly RawDiffEntry[];
}

/** Kind of git's object ids. */
export type ObjectFormat = keyof typeof OBJECT_FORMATS;
/**
 * Kinds of git's object ids, each with the length in digits and the ids of what is empty:
 * https://git-scm.com/docs/hash-function-transition
 */
export const OBJECT_FORMATS = {
  sha1: {
    idLength: 40,
    emptyTree: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    emptyBlob: "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
  },
  sha256: {
    idLength: 64,
    emptyTree: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
    emptyBlob: "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
  },
} as const;

const DEFAULT_BRANCH = "main";
/** A remote whose HEAD a fetch has not told by then is asked beside it (ms): it may be one that does not answer. */
const TOLD_MS = 5000;
/** Under which the base keeps the start. */
const START_REF = "refs/claudecluster/start";

/**
 * Makes the base, and a git directory without conversions; what that is used for has its objects elsewhere. $1 is the kind of ids,
 * $2 and $3 are attributes; $4 is a supply, or empty: what its packed-refs name is here already, and is not fetched.
 */
const MAKE_BASE: Script = {
  name: "init",
  text: `set -e
rm -rf -- "$GIT_DIR"
git init -q --bare --template= --initial-branch=${DEFAULT_BRANCH} --object-format="$1"
cd -- "$GIT_DIR"
mkdir -p info raw/info raw/refs raw/objects
cp HEAD config raw
printf '%s' "$2" > info/attributes
printf '%s' "$3" > raw/info/attributes
if [ -n "$4" ] && [ -e "$4/packed-refs" ]; then
  printf '%s/objects\\n' "$4" > objects/info/alternates
  [ ! -e "$4/shallow" ] || cat "$4/shallow" > shallow
  cat "$4/packed-refs" > packed-refs
fi`,
};

/** Says the start's id and those of its commit and tree, if it has any. */
const SAY_START = `git rev-parse ${START_REF} "${START_REF}^{commit}" "${START_REF}^{tree}" 2> /dev/null || :`;

/** Fetches the start with these arguments, and says what it is. Exits as the fetch does. */
const FETCH: Script = { name: "fetch", text: `git fetch "$@" || exit\n${SAY_START}` };

/** Fetches the remote's HEAD as FETCH does, and says first in which packet the remote has named it. */
const FETCH_HEAD: Script = {
  name: "fetch",
  text: `packets=$GIT_DIR/packets
GIT_TRACE_PACKET=$packets git fetch "$@"
code=$?
[ ! -e "$packets" ] || grep -aEm 1 '${HEAD_PACKET}' "$packets"
rm -f -- "$packets"
[ "$code" = 0 ] || exit "$code"
${SAY_START}`,
};

const FETCH_CONFIG: Record<string, string> = {
  "fetch.fsckObjects": "true",
  ...Object.fromEntries(HARMLESS_GIT_FAULTS.map((fault) => [`fetch.fsck.${fault}`, "ignore"])),
  // One pack instead of many small files, however little it is.
  "fetch.unpackLimit": "1",
  "fetch.writeCommitGraph": "false",
};

/** Place of git commands in a base. */
type Inside = GitPlace & { variables: { GIT_DIR: string } };

/** Repository to start from, and where and how to fetch it. */
export interface BaseOptions extends RetryCutOptions {
  /** Repository to fetch. Undefined: none, the base is empty. */
  repository?: RepositorySpec | undefined;
  /** Directory that is to hold the base. It belongs to the identity. */
  directory: string;
  /** Directory with objects that a snapshot has, only to be read. It need not be there. Default: none. */
  supply?: string | undefined;
  /** Whether makeBase has made an empty one there. Default: no. */
  made?: boolean | undefined;
  identity: Identity | undefined;
  /** Proxy for http and https. Undefined: none. */
  proxyUrl: string | undefined;
  urlConfig?: UrlConfig;
  onProgress: (progress: Progress) => void;
}

/** Makes a base with nothing in it, of the kind that nearly all are. */
export async function makeBase(
  { directory, identity, signal }: Pick<BaseOptions, "directory" | "identity" | "signal">,
  { objectFormat = "sha1", supply = "" }: { objectFormat?: ObjectFormat; supply?: string } = {},
): Promise<void> {
  const place = placeOf({ directory, identity });
  await shell(place, MAKE_BASE, [objectFormat, OUR_ATTRIBUTES, RAW_ATTRIBUTES, supply], { signal });
}

function placeOf({ directory, identity }: Pick<BaseOptions, "directory" | "identity">): Inside {
  return { identity, variables: { GIT_DIR: `${directory}/repo.git` } };
}

/**
 * Makes the base: fetches the repository's ref, or makes an empty one. Throws AppError with a REPOSITORY_… or REF_…
 * reason, or WORKSPACE_FULL.
 */
export async function openBase(options: BaseOptions): Promise<BaseRepository> {
  const { repository, signal } = options;
  const place = placeOf(options);
  const gitDir = place.variables.GIT_DIR;
  const remote = remotePlace({ identity: options.identity }, options);
  const supply = repository?.snapshot === undefined ? "" : (options.supply ?? "");
  const made = options.made === true && (supply === "" || !existsSync(join(supply, "packed-refs")));
  const ask = async (signal: AbortSignal): Promise<RemoteRef | undefined> => {
    if (repository === undefined) return undefined;
    // Of a snapshot the host has said it all.
    if (repository.snapshot !== undefined) return snapshotRef(repository.snapshot);
    return await resolveRemoteRef(remote, repository.uri, repository.ref, { ...options, signal });
  };
  const fetch = (name: string, signal: AbortSignal) =>
    tryFetch(remotePlace(place, options), repository!, name, { ...options, signal });
  // Of what kind its ids are, the remote says; nearly always it is this one. Which ref is meant, it says too: what is
  // meant nearly always is fetched meanwhile. What its HEAD is, that fetch tells.
  const guess = probableName(repository);
  if (repository !== undefined && repository.snapshot === undefined) options.onProgress({ stage: "Asking the remote" });
  const [ref, guessed] = await together(signal, (signal) => {
    const ready = made ? Promise.resolve() : makeBase({ ...options, signal }, { supply });
    const fetched = ready.then(() => (guess === undefined ? undefined : fetch(guess, signal)));
    const told = guess === "HEAD" ? toldHead(fetched, signal) : Promise.resolve(undefined);
    return [told.then((ref) => ref ?? ask(signal)), fetched];
  });
  const objectFormat = ref?.id.length === OBJECT_FORMATS.sha256.idLength ? "sha256" : "sha1";
  if (objectFormat !== "sha1") await makeBase(options, { objectFormat, supply });

  const wholeHistory = repository !== undefined && repository.depth < 0;
  const base: BaseRepository = {
    gitDir,
    rawGitDir: `${gitDir}/raw`,
    commitId: "",
    treeId: OBJECT_FORMATS[objectFormat].emptyTree,
    objectFormat,
    origin:
      repository === undefined
        ? undefined
        : { uri: repository.uri, wholeHistory, defaultBranch: branchOf(ref?.defaultName) },
    branch: DEFAULT_BRANCH,
    packedRefs: "",
    checkedOut: undefined,
  };
  if (repository === undefined || ref === undefined) return base;

  const meant = objectFormat === "sha1" && (guess === "HEAD" || guess === ref.name) ? guessed : undefined;
  const moved = meant?.code === 0 && startIds(meant)[0] !== ref.id;
  const fetched = meant === undefined || moved ? await fetch(ref.name ?? ref.id, signal) : meant;
  if (fetched.code !== 0) throw await fetchError(fetched, { repository, ref, place, options });
  const [id = "", commitId, treeId = ""] = startIds(fetched);
  if (commitId === undefined) {
    const help = "Name a branch, a tag of a commit, or a commit.";
    const metadata = { uri: redactUri(repository.uri), ref: repository.ref };
    throw new AppError("REF_NOT_A_COMMIT", `'${repository.ref}' of ${metadata.uri} is not a commit.`, {
      help,
      metadata,
    });
  }
  if (repository.snapshot !== undefined) {
    const taken = await takeSnapshot(place, repository.snapshot, { commitId, objectFormat, signal });
    return { ...base, commitId, treeId, ...taken };
  }
  const branch = ref.name === "HEAD" ? DEFAULT_BRANCH : branchOf(ref.name);
  const start = branch === undefined ? "" : `${commitId} refs/heads/${branch}\n`;
  const fetchedRefs = wholeHistory ? await listRefs(place, { signal }) : refLine(ref, id);
  return { ...base, commitId, treeId, branch, packedRefs: start + fetchedRefs };
}

/** Returns the remote's HEAD, as a fetch of it tells in time. Undefined: it does not. */
async function toldHead(fetched: Promise<RunResult | undefined>, signal: AbortSignal): Promise<RemoteRef | undefined> {
  const ended = fetched.catch(() => undefined);
  const result = (await within(ended, TOLD_MS, signal)) ? await ended : undefined;
  return result?.code === 0 ? readHead(result.stdout.toString("utf8")) : undefined;
}

/** Returns what was fetched with the whole history, as lines of packed refs. */
async function listRefs(place: GitPlace, options: { signal: AbortSignal }): Promise<string> {
  const list = ["for-each-ref", "--format=%(objectname) %(refname)", "refs/remotes", "refs/tags"];
  return (await git(place, list, options)).toString("utf8");
}

/** Returns what a snapshot's repository had checked out, as the session's is to have it. Throws SNAPSHOT_MISSING. */
async function takeSnapshot(
  place: GitPlace,
  snapshot: RepositorySnapshot,
  { commitId, objectFormat, signal }: { commitId: string; objectFormat: ObjectFormat; signal: AbortSignal },
): Promise<Pick<BaseRepository, "origin" | "branch" | "packedRefs" | "checkedOut">> {
  const { headCommitId, indexCommitId, untrackedCommitId, subdirectory, submodules } = snapshot;
  const { emptyBlob } = OBJECT_FORMATS[objectFormat];
  const intentToAdd = rawPaths(snapshot.intentToAddPaths);
  if (commitId !== untrackedCommitId) throw notTheSnapshot(snapshot, commitId);
  const compare = async (other: string, signal: AbortSignal): Promise<RawDiffEntry[]> => {
    if (other === "") return [];
    const flags = ["-r", "-z", "--raw", "--no-abbrev", "--no-renames"];
    return parseRawDiff(await git(place, ["diff-tree", ...flags, commitId, other], { signal }));
  };
  const [index, head] = await together(signal, (signal) => [
    compare(indexCommitId, signal),
    compare(headCommitId, signal),
  ]);
  const branch = branchOf(snapshot.branch);
  return {
    // What leads out of here is not a repository of the session's.
    origin: undefined,
    branch,
    packedRefs: branch === undefined || headCommitId === "" ? "" : `${headCommitId} refs/heads/${branch}\n`,
    checkedOut: {
      headCommitId,
      indexCommitId,
      intentToAdd,
      largePaths: rawPaths(snapshot.largePaths),
      given: {
        index: [...index, ...intentToAdd.flatMap((path) => withoutContent(path, emptyBlob))],
        head,
      },
      subdirectory,
      submodules,
    },
  };
}

/** Returns paths as they are used here, of bytes as they are sent. */
export function rawPaths(sent: readonly Uint8Array[]): RawPath[] {
  return sent.map(rawPathOf);
}

/** What the index may hold for a file without content. */
function withoutContent(path: RawPath, emptyBlob: string): RawDiffEntry[] {
  const entry = { path, oldPath: path, oldMode: "100644", oldId: "", newId: emptyBlob };
  return ["100644", "100755", "120000"].map((newMode) => ({ ...entry, newMode }));
}

function notTheSnapshot({ untrackedCommitId }: RepositorySnapshot, commitId: string): AppError {
  return new AppError("SNAPSHOT_MISSING", `The host served ${commitId} instead of ${untrackedCommitId}.`, {
    metadata: { commit_id: commitId, untracked_commit_id: untrackedCommitId },
  });
}

function branchOf(name: string | undefined): string | undefined {
  return name?.startsWith("refs/heads/") === true ? name.slice("refs/heads/".length) : undefined;
}

/** What a remote would say of a snapshot. Whether that is there, fetching it shows. */
function snapshotRef({ untrackedCommitId: id }: RepositorySnapshot): RemoteRef {
  return { name: SNAPSHOT_REF, id, defaultName: undefined };
}

/** Returns the ref under its name in the session's repository, as a line of packed refs. Empty: it has no name there. */
function refLine({ name }: RemoteRef, id: string): string {
  const branch = branchOf(name);
  if (branch !== undefined) return `${id} refs/remotes/origin/${branch}\n`;
  return name?.startsWith("refs/tags/") === true ? `${id} ${name}\n` : "";
}

/** Returns the ref of the remote that a specification nearly always means. Undefined: that cannot be said. */
function probableName(repository: RepositorySpec | undefined): string | undefined {
  if (repository === undefined || repository.snapshot !== undefined) return undefined;
  const { ref } = repository;
  if (ref === "" || ref === "HEAD") return "HEAD";
  // Nothing that means something else to git than its name.
  if (!/^[\w-][\w./-]*$/.test(ref) || ref.startsWith("refs/") || isCommitId(ref)) return undefined;
  return `refs/heads/${ref}`;
}

/** Returns the start's id, and those of its commit and its tree, of the fetch that brought it. No commit: it is none. */
function startIds({ stdout }: RunResult): string[] {
  // git says again what it does not find.
  return stdout.toString("utf8").split("\n").filter(isCommitId);
}

/** Fetches the start, by its name at the remote or its id, and returns how that ended. */
async function tryFetch(
  place: GitPlace,
  repository: RepositorySpec,
  name: string,
  options: BaseOptions,
): Promise<RunResult> {
  const { uri, depth, snapshot } = repository;
  const { signal } = options;
  // How much of a snapshot's history there is, the host has decided.
  const everything =
    depth < 0 && snapshot === undefined ? ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"] : [];
  const history = depth < 0 || snapshot !== undefined ? [] : [`--depth=${depth === 0 ? 1 : depth}`];
  const flags = [
    "--progress",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
    "--no-auto-maintenance",
    "--update-shallow",
  ];
  const args = [...flags, ...history, "--", uri, ...everything, `+${name}:${START_REF}`];
  const config = { ...place.config, ...FETCH_CONFIG };
  const fetch = () =>
    tryShell({ ...place, config }, name === "HEAD" ? FETCH_HEAD : FETCH, args, {
      signal,
      onStderr: progressReader(options.onProgress),
    });
  // A git that finds no room goes, and cuts its connection itself.
  const isOver = ({ code, stderr }: RunResult) => code === 0 || stderr.includes("No space left on device");
  return await retryCut(options, fetch, isOver);
}

/** Returns why a fetch failed. Throws what asking the remote again throws. */
async function fetchError(
  result: RunResult,
  start: { repository: RepositorySpec; ref: RemoteRef; place: GitPlace; options: BaseOptions },
): Promise<AppError> {
  const { repository, ref, place, options } = start;
  const { uri, snapshot } = repository;
  const neededBytes = () => Promise.resolve(wholeSize(result.stderr));
  const base = { directory: options.directory, use: "base", neededBytes } as const;
  await throwIfFull([base], gitFailed([FETCH.name], result));
  // The remote knew the ref a moment ago: if it does not answer now, this is what has to be told.
  const name = snapshot === undefined ? repository.ref : SNAPSHOT_REF;
  await resolveRemoteRef(remotePlace({ identity: place.identity }, options), uri, name, options);
  const help = "Check that it is a commit of this repository and that the server gives out commits by id.";
  if (ref.name === undefined) return refNotFound(uri, ref.id, help);
  const said = lastLine(result.stderr);
  const metadata = { uri: redactUri(uri), ref: repository.ref, said };
  return new AppError("REPOSITORY_FETCH_FAILED", `Could not fetch ${metadata.uri}: ${said}.`, {
    retryable: true,
    help: "Try again; if it stays, check the repository with git fsck.",
    metadata,
  });
}
