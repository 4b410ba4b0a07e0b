import { lstat, readFile } from "node:fs/promises";
import { isAbsolute, join, normalize, relative } from "node:path";
import { AppError, joinPaths, type RawPath, splitPaths } from "../../proto/index.ts";
import { givenPathText } from "../present/path-text.ts";
import { git, type GitPlace, tryGit } from "./git.ts";
import type { LocatedRepository } from "./locate.ts";
import { looksSecret } from "./secret-names.ts";

/** What Claude Code copies into a work tree of its own: patterns as in a .gitignore. https://code.claude.com/docs/en/worktrees */
const WORKTREE_INCLUDE = ".worktreeinclude";

/** How many names git is asked for at once: a command has so much room. */
const AT_ONCE = 500;
const LIST = ["--literal-pathspecs", "ls-files", "-z", "--others", "--"];
const LIST_PATTERNS = ["ls-files", "-z", "--others", "--ignored", `--exclude-from=${WORKTREE_INCLUDE}`];

/** Options for the untracked files that somebody wants in. */
export interface IncludeOptions {
  /** Files, or directories with everything in them, from the named directory on. */
  names: readonly string[];
  /** True: files that match .worktreeinclude at the top go in, too. */
  worktreeInclude: boolean;
  signal: AbortSignal;
}

/** Untracked files that somebody wants in. */
export interface IncludedFiles {
  /** Files that go in whatever their names and sizes: those that were named, and secrets that .worktreeinclude names. */
  named: Set<RawPath>;
  /** Ignored files that patterns of .worktreeinclude match. They go in as if they were not ignored. */
  matched: Set<RawPath>;
}

/**
 * Returns the untracked files that go in because somebody has named them, ignored ones too. Files of nested repositories
 * are not among them. A pattern of .worktreeinclude brings no secrets, but for those whose names it spells out. Throws INCLUDE_NOT_FOUND for a name that is not there, or lies outside of the work tree.
 */
export async function findIncluded(
  place: GitPlace,
  { root, subdirectory }: LocatedRepository,
  { names, worktreeInclude, signal }: IncludeOptions,
): Promise<IncludedFiles> {
  const paths: string[] = [];
  for (const name of names) {
    const path = isAbsolute(name) ? relative(root, name) : normalize(join(subdirectory, name));
    if (path === ".." || path.startsWith("../") || isAbsolute(path))
      throw notFound(name, `lies outside of ${givenPathText(root)}`);
    if (!(await exists(join(root, path)))) throw notFound(name, `is not in ${givenPathText(root)}`);
    paths.push(path === "" ? "." : path);
  }
  const included = new Set<RawPath>();
  for (let at = 0; at < paths.length; at += AT_ONCE) {
    const found = splitPaths(await git(place, [...LIST, ...paths.slice(at, at + AT_ONCE)], { signal }));
    for (const file of found) included.add(file);
  }
  const matched = new Set<RawPath>();
  if (worktreeInclude && (await exists(join(root, WORKTREE_INCLUDE)))) {
    const spelledOut = await readNames(join(root, WORKTREE_INCLUDE));
    const listed = splitPaths(await git(place, LIST_PATTERNS, { signal }));
    const input = joinPaths(listed.map((path) => `./${path}`));
    const { stdout } = await tryGit(place, ["check-ignore", "-z", "--stdin"], { signal, input });
    for (const file of splitPaths(stdout).map((path) => path.slice(2))) {
      const isNamed = looksSecret(file) && spelledOut.some((name) => file === name || file.endsWith(`/${name}`));
      (isNamed ? included : matched).add(file);
    }
  }
  // A nested repository is one path that ends in a slash.
  const files = (paths: Set<RawPath>) => new Set([...paths].filter((path) => !path.endsWith("/")));
  return { named: files(included), matched: files(matched) };
}

/** Reads the patterns that are a path or the name of a file, and no more. */
async function readNames(path: string): Promise<RawPath[]> {
  const lines = (await readFile(path, "latin1")).split(/\r?\n/);
  return lines.filter((line) => /^[^#!*?[\]\\]*[^#!*?[\]\\/\s]$/.test(line)).map((line) => line.replace(/^\//, ""));
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

function notFound(name: string, why: string): AppError {
  return new AppError("INCLUDE_NOT_FOUND", `${givenPathText(name)} cannot be included: it ${why}.`, {
    help: "Name files or directories of the work tree by their paths, without patterns.",
    metadata: { name },
  });
}
