import { gitFailed } from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import type { BaseRepository } from "./base-repository.ts";
import { isObjectId } from "./claims.ts";
import { type GitPlace, runIn } from "./git.ts";
import { fetchedByNetwork, Remotes } from "./network-remotes.ts";
import { fetchedCommits, parseReflog, type ReflogEntry } from "./reflog.ts";

/** For reading what a repository holds, which may be anything that Claude made of it, also a trap. */
const TIMEOUT_S = 10;
/** Some hundred thousand refs. */
const MAX_OUTPUT_BYTES = 32 * 1024 * 1024;
/** Exit code for "there is no repository". */
const NONE = 3;
/** A ref can be a link to something without an end. */
const MAX_MEMORY_KIB = 1024 * 1024;
const MAX_WORKTREES = 100;

/**
 * Shell functions for scripts. `line FILE` prints the first line of a file. `find_repository DIRECTORY` sets `dir` to
 * the directory's git directory and `common` to the one that it shares with other worktrees. They read ordinary files
 * alone.
 */
export const FIND_REPOSITORY = `line() { head -c 4096 -- "$1" | tr -d '\\000' | head -n 1; }
find_repository() {
  if [ -d "$1/.git" ]; then dir=$1/.git
  else
    [ -f "$1/.git" ] || return 1
    dir=$(line "$1/.git")
    case $dir in "gitdir: /"*) dir=\${dir#gitdir: } ;; "gitdir: "*) dir=$1/\${dir#gitdir: } ;; *) return 1 ;; esac
  fi
  common=$dir
  if [ -f "$dir/commondir" ]; then
    common=$(line "$dir/commondir")
    case $common in /*) ;; *) common=$dir/$common ;; esac
  fi
  [ -d "$common/objects" ] && [ -d "$common/refs" ]
}`;

/**
 * Makes a git directory of our own around a repository's refs and objects; then writes what else is to be known of it, in
 * fields that end with a NUL. $1 is our git directory, $2 the directory whose repository it is, $3 the base, $4 the
 * configuration.
 */
const OPEN = `set -u
ulimit -v ${MAX_MEMORY_KIB}
${FIND_REPOSITORY}
text() { [ ! -f "$1" ] || tail -c 1048576 -- "$1" | tr -d '\\000'; printf '\\0'; }
find_repository "$2" || exit ${NONE}
rm -rf -- "$1"
mkdir -p -- "$1/info" &&
printf 'ref: refs/heads/none\\n' > "$1/HEAD" && printf '%s' "$4" > "$1/config" || exit 1
[ ! -f "$3/info/attributes" ] || cp -- "$3/info/attributes" "$1/info/attributes" || exit 1
for part in objects refs packed-refs shallow; do
  [ -d "$common/$part" ] || [ -f "$common/$part" ] || continue
  ln -s -- "$common/$part" "$1/$part" || exit 1
done
text "$dir/HEAD"
text "$dir/logs/HEAD"
text "$common/logs/refs/stash"
text "$dir/FETCH_HEAD"
grep -rhaE '\t(fetch|pull) ' -- "$common/logs/refs" 2>/dev/null | head -c 1048576 | tr -d '\\000'
printf '\\0'
[ ! -f "$common/config" ] || head -c 1048576 -- "$common/config" |
  git config --file - --no-includes --get-regexp '^remote\\..*\\.url$' 2>/dev/null | tr -d '\\000'
printf '\\0'
git for-each-ref --format='%(objectname) %(refname)'
printf '\\0%s\\0' "$?"
count=0
for tree in "$common"/worktrees/*/; do
  [ -f "$tree/gitdir" ] && [ ! "$tree" -ef "$dir" ] || continue
  count=$((count + 1))
  [ "$count" -le ${MAX_WORKTREES} ] || break
  at=$(line "$tree/gitdir")
  case $at in /*) ;; *) at=$tree$at ;; esac
  if [ -f "$at" ]; then printf '%s\\0' "\${at%/.git}"; else printf '\\0'; fi
  text "$tree/HEAD"
  text "$tree/logs/HEAD"
done`;

/** Checked out commit of a repository. */
export interface Head {
  /** Id of it. Empty: there is no commit, or the repository does not say. */
  commitId: string;
  /** Name of the branch, such as "refs/heads/main". Empty: HEAD is detached. */
  ref: string;
}

/** Worktree beside the repository's first one. */
export interface Worktree {
  /** Path as it was written, in latin1. Empty: it is gone. */
  path: string;
  head: Head;
  reflog: ReflogEntry[];
}

/**
 * View of a repository of Claude's through a git directory of our own. It has the repository's refs and objects, but
 * nothing of its configuration, hooks, attributes and grafts, so none of these can run or fetch anything. Only the URLs
 * of its remotes are read.
 */
export interface RepositoryWindow {
  place: GitPlace;
  gitDir: string;
  head: Head;
  /** Ids of the refs, by name. */
  refs: ReadonlyMap<string, string>;
  reflog: ReflogEntry[];
  /** Ids of the stashes, newest first. */
  stashes: string[];
  /** Ids of commits that were fetched over the network, as far as the repository tells. */
  fetched: string[];
  worktrees: Worktree[];
  /** Whether some refs could not be read. */
  incomplete: boolean;
}

/** Repository to view, and where to put the view. */
export interface WindowOptions {
  /** Directory whose repository it is. */
  workTree: string;
  base: BaseRepository;
  identity: Identity | undefined;
  /** Path for the git directory of our own, below the scan directory. What is there is replaced. */
  gitDir: string;
  /** More object directories that the repository may need. Default: none. */
  alternates?: readonly string[];
  signal: AbortSignal;
}

/** Opens the view of a directory's repository. Undefined: it has none. Throws GIT_FAILED if it cannot be read. */
export async function openWindow(options: WindowOptions): Promise<RepositoryWindow | undefined> {
  const { workTree, base, identity, gitDir, alternates = [], signal } = options;
  const objects = [`${base.gitDir}/objects`, ...alternates];
  const place: GitPlace = {
    identity,
    variables: { GIT_DIR: gitDir, GIT_ALTERNATE_OBJECT_DIRECTORIES: objects.join(":") },
    // What else is computed from commits, and could say something else than they do.
    config: { "core.commitGraph": "false", "core.multiPackIndex": "false" },
  };
  const format = base.objectFormat === "sha256" ? "[extensions]\n\tobjectformat = sha256\n" : "";
  const configuration = `[core]\n\trepositoryformatversion = ${format === "" ? 0 : 1}\n\tbare = true\n${format}`;
  const script = ["sh", "-c", OPEN, "sh", gitDir, workTree, base.gitDir, configuration];
  const result = await runIn(place, "timeout", ["-s", "KILL", String(TIMEOUT_S), ...script], {
    signal,
    maxOutputBytes: MAX_OUTPUT_BYTES,
  });
  if (result.code === NONE) return undefined;
  if (result.code !== 0) throw gitFailed(["for-each-ref"], result);
  const [
    head = "",
    log = "",
    stashLog = "",
    fetchHead = "",
    fetchLog = "",
    urls = "",
    list = "",
    status = "",
    ...rest
  ] = fieldsOf(result.stdout);
  const refs = new Map<string, string>();
  for (const line of list.split("\n")) {
    const id = line.slice(0, line.indexOf(" "));
    if (isObjectId(id)) refs.set(line.slice(id.length + 1), id);
  }
  const stashes = parseReflog(stashLog).map(({ newId }) => newId);
  const stash = refs.get("refs/stash");
  if (stash !== undefined && stashes.at(-1) !== stash) stashes.push(stash);
  const reflog = parseReflog(log);
  const remotes = new Remotes(urls);
  const worktrees: Worktree[] = [];
  for (let at = 0; at + 2 < rest.length; at += 3) {
    const [path = "", treeHead = "", treeLog = ""] = rest.slice(at, at + 3);
    worktrees.push({ path, head: parseHead(treeHead, refs), reflog: parseReflog(treeLog) });
  }
  return {
    place,
    gitDir,
    head: parseHead(head, refs),
    refs,
    reflog,
    stashes: stash === undefined ? [] : stashes.reverse(),
    fetched: [
      ...[...refs].filter(([name]) => remotes.tracks(name)).map(([, id]) => id),
      ...fetchedByNetwork(fetchHead),
      ...fetchedCommits([...reflog, ...parseReflog(fetchLog)], remotes),
    ].filter(isObjectId),
    worktrees,
    incomplete: status !== "0",
  };
}

function fieldsOf(output: Buffer): string[] {
  return output.toString("latin1").split("\0").slice(0, -1);
}

function parseHead(text: string, refs: ReadonlyMap<string, string>): Head {
  const line = text.split("\n")[0] ?? "";
  const ref = /^ref: *(refs\/\S+)$/.exec(line)?.[1];
  if (ref !== undefined) return { ref, commitId: refs.get(ref) ?? "" };
  return { ref: "", commitId: isObjectId(line) ? line : "" };
}
