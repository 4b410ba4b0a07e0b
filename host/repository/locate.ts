import { lstat, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { AppError, lastLine } from "../../proto/index.ts";
import { readProblem } from "../file-problem.ts";
import { givenPathText } from "../present/path-text.ts";
import { type GitPlace, tryGit } from "./git.ts";

/** Hash that a repository names its objects by. */
export type ObjectFormat = "sha1" | "sha256";

/** Repository, or plain directory, that can be snapshotted. All paths but the subdirectory are absolute. */
export interface LocatedRepository {
  /** "directory": a plain one, in no repository. */
  kind: "repository" | "directory";
  /** Top of the work tree, or the plain directory, without links on the way. */
  root: string;
  /** Directory that was named, from the root. Empty: the root itself. */
  subdirectory: string;
  /** Format of the objects. A plain directory has "sha1". */
  objectFormat: ObjectFormat;
  /** Directories of git. Undefined for a plain directory. */
  git?: {
    /** Git directory of this work tree. A linked one has its own. */
    directory: string;
    /** Git directory that all work trees share. */
    commonDirectory: string;
    objectDirectory: string;
  };
}

/** No path ends so: it separates answers that may have line ends in them. */
const SEPARATOR = "\ntrue\n";
const SEPARATE = "--is-inside-work-tree";
const QUESTIONS = [
  "rev-parse",
  "--path-format=absolute",
  "--show-toplevel",
  SEPARATE,
  "--git-dir",
  SEPARATE,
  "--git-common-dir",
  SEPARATE,
  "--git-path",
  "objects",
  SEPARATE,
  "--show-prefix",
  "--show-object-format",
];

/**
 * Finds the repository that a path lies in, by git itself, with its check of who owns it. A directory in no repository is
 * returned as a plain one. Throws REPOSITORY_PATH_NOT_FOUND; REPOSITORY_PATH_INVALID for a file, and for a repository that
 * has no work tree, belongs to somebody else or is damaged; GIT_NOT_FOUND.
 */
export async function locateRepository(path: string, { signal }: { signal: AbortSignal }): Promise<LocatedRepository> {
  const given = resolve(path);
  const isDirectory = await stat(given).then(
    (facts) => facts.isDirectory(),
    (error: unknown) => {
      throw new AppError(
        "REPOSITORY_PATH_NOT_FOUND",
        `${givenPathText(given)} cannot be read: ${readProblem(error)}.`,
        {
          help: "Name a directory on this machine, or an https URI such as https://github.com/owner/name.",
          metadata: { path: given },
          cause: error,
        },
      );
    },
  );
  if (!isDirectory) throw invalid(given, "is a file, not a directory", "Name the directory of a repository.");
  const place: GitPlace = { settings: "user", cwd: given };
  const result = await tryGit(place, QUESTIONS, { signal });
  if (result.code !== 0) {
    const entry = await findGitEntry(given);
    if (entry === undefined) {
      return { kind: "directory", root: await realpath(given), subdirectory: "", objectFormat: "sha1" };
    }
    throw invalid(
      given,
      `is in a repository (${givenPathText(entry)}) that git cannot work in: ${lastLine(result.stderr)}`,
      "Try `git status` there. In a bare repository there are no files: name a work tree.",
    );
  }
  const [root = "", directory = "", commonDirectory = "", objectDirectory = "", last = ""] = result.stdout
    .toString()
    .split(SEPARATOR);
  const { prefix = "", format = "" } = /^(?<prefix>.*)\n(?<format>.*)\n$/s.exec(last)?.groups ?? {};
  if (format !== "sha1" && format !== "sha256") throw invalid(given, `has objects in the format "${format}"`, "");
  if (root.includes("\ufffd")) throw invalid(given, "has a name that is not UTF-8", "Rename the directory.");
  return {
    kind: "repository",
    root,
    subdirectory: prefix.replace(/\/$/, ""),
    objectFormat: format,
    git: { directory, commonDirectory, objectDirectory },
  };
}

/** Returns the .git above a path, or the bare repository that it is in. */
async function findGitEntry(path: string): Promise<string | undefined> {
  for (let at = path; ; at = dirname(at)) {
    const there = (name: string): Promise<boolean> =>
      lstat(join(at, name)).then(
        () => true,
        () => false,
      );
    if (await there(".git")) return join(at, ".git");
    if ((await there("HEAD")) && (await there("objects")) && (await there("refs"))) return at;
    if (dirname(at) === at) return undefined;
  }
}

function invalid(path: string, what: string, help: string): AppError {
  return new AppError("REPOSITORY_PATH_INVALID", `${givenPathText(path)} ${what}.`, { help, metadata: { path } });
}
