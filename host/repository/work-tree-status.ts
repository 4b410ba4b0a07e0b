import { gitFailed, type RawPath, rawPathOf } from "../../proto/index.ts";
import { type GitOptions, type GitPlace, tryGit } from "./git.ts";

/** Changed file: a tracked one that differs between HEAD, index and work tree. */
export interface ChangedFile {
  path: RawPath;
  headMode: string;
  headId: string;
  indexMode: string;
  indexId: string;
  /** Mode that git saw in the work tree. Something else may lie there by now. */
  workTreeMode: string;
  /** True: it differs between HEAD and index. */
  staged: boolean;
  /** True: it differs between index and work tree. */
  changed: boolean;
}

/** Status of a work tree, as `git status` tells it. */
export interface WorkTreeStatus {
  /** Commit that is checked out. Undefined: there is none yet. */
  headId: string | undefined;
  changed: ChangedFile[];
  /** Files that are neither tracked nor ignored. A nested repository is one path that ends in a slash. */
  untracked: RawPath[];
  /** Ignored files. A directory that is ignored as a whole is one path that ends in a slash. */
  ignored: RawPath[];
  /** Files in conflict. */
  unmerged: RawPath[];
  /** Directories that this user may not look into; each ends in a slash. */
  closed: RawPath[];
}

const ARGS = [
  "status",
  "--porcelain=v2",
  "--branch",
  "--no-ahead-behind",
  "-z",
  "--no-renames",
  "--untracked-files=all",
  "--ignored=matching",
  "--ignore-submodules=dirty",
];

/**
 * Reads the status of a work tree. If the place has optional locks, git also notes in its index which files are unchanged.
 * Throws GIT_FAILED.
 */
export async function readWorkTreeStatus(place: GitPlace, options: GitOptions): Promise<WorkTreeStatus> {
  const result = await tryGit(place, ARGS, options);
  if (result.code !== 0) throw gitFailed(ARGS, result);
  return { ...parseStatus(result.stdout), closed: readComplaints(result.stderr) };
}

/** Parses git's warnings for directories that it cannot open, of which it says nothing else (dir.c, since git 2.17). */
export function readComplaints(stderr: string): RawPath[] {
  const found = stderr.matchAll(/^warning: could not open directory '(.+?)\/?': .+$/gm);
  return [...new Set(Array.from(found, ([, path = ""]) => `${rawPathOf(path)}/`))];
}

/** Parses `git status --porcelain=v2 -z` without renames: https://git-scm.com/docs/git-status. `closed` stays empty. */
function parseStatus(output: Buffer): WorkTreeStatus {
  const status: WorkTreeStatus = {
    headId: undefined,
    changed: [],
    untracked: [],
    ignored: [],
    unmerged: [],
    closed: [],
  };
  for (const line of output.toString("latin1").split("\0")) {
    if (line.startsWith("? ")) status.untracked.push(line.slice(2));
    else if (line.startsWith("! ")) status.ignored.push(line.slice(2));
    else if (line.startsWith("u ")) status.unmerged.push(pathAfter(line, 10));
    else if (line.startsWith("1 ")) {
      const [, xy = "", , headMode = "", indexMode = "", workTreeMode = "", headId = "", indexId = ""] =
        line.split(" ");
      const path = pathAfter(line, 8);
      const staged = xy[0] !== ".";
      status.changed.push({ path, headMode, headId, indexMode, indexId, workTreeMode, staged, changed: xy[1] !== "." });
    } else if (line.startsWith("# branch.oid ")) {
      const id = line.slice("# branch.oid ".length);
      if (id !== "(initial)") status.headId = id;
    }
  }
  return status;
}

/** What follows so many fields. */
function pathAfter(line: string, fields: number): RawPath {
  let at = 0;
  for (let count = 0; count < fields; count++) at = line.indexOf(" ", at) + 1;
  return line.slice(at);
}
