import { lstat } from "node:fs/promises";
import { isAbsolute, join, normalize, relative } from "node:path";
import { AppError, type RawPath, splitPaths } from "../../proto/index.ts";
import { git, type GitPlace } from "./git.ts";
import type { LocatedRepository } from "./locate.ts";

/** What Claude Code copies into a work tree of its own: patterns as in a .gitignore. https://code.claude.com/docs/en/worktrees */
const WORKTREE_INCLUDE = ".worktreeinclude";

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

/**
 * Returns the untracked files that go in because somebody has named them, ignored ones too. Files of nested repositories
 * are not among them. Throws INCLUDE_NOT_FOUND for a name that is not there, or lies outside of the work tree.
 */
export async function findIncluded(
  place: GitPlace,
  { root, subdirectory }: LocatedRepository,
  { names, worktreeInclude, signal }: IncludeOptions,
): Promise<Set<RawPath>> {
  const included = new Set<RawPath>();
  for (const name of names) {
    const path = isAbsolute(name) ? relative(root, name) : normalize(join(subdirectory, name));
    if (path === ".." || path.startsWith("../") || isAbsolute(path)) throw notFound(name, `lies outside of ${root}`);
    const found = splitPaths(await git(place, [...LIST, path === "" ? "." : path], { signal }));
    for (const file of found) included.add(file);
    if (found.length === 0 && !(await exists(join(root, path)))) throw notFound(name, `is not in ${root}`);
  }
  if (worktreeInclude && (await exists(join(root, WORKTREE_INCLUDE)))) {
    for (const file of splitPaths(await git(place, LIST_PATTERNS, { signal }))) included.add(file);
  }
  // A nested repository is one path that ends in a slash.
  return new Set([...included].filter((path) => !path.endsWith("/")));
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

function notFound(name: string, why: string): AppError {
  return new AppError("INCLUDE_NOT_FOUND", `"${name}" cannot be included: it ${why}.`, {
    help: "Name files or directories of the work tree by their paths, without patterns.",
    metadata: { name },
  });
}
