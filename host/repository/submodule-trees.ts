import { type RawPath, utf8Of } from "../../proto/index.ts";
import { joinPaths, splitPaths } from "../../proto/index.ts";
import { git, gitLine, type GitPlace, tryGit } from "./git.ts";
import type { Scratch } from "./scratch.ts";
import { ABSENT, DIRECTORY, GITLINK } from "./tree-diff.ts";

/** Submodule that a session was given with its files, which are the session's start then. */
export interface GivenSubmodule {
  /** Path from the top of the outermost repository. */
  path: RawPath;
  /** Commit that was checked out in it. */
  commitId: string;
}

/** Returns whether a path is a submodule's, or lies in it. */
export function isInside(submodule: RawPath, path: RawPath): boolean {
  return path === submodule || path.startsWith(`${submodule}/`);
}

/** Returns the submodules that lie in no other one. */
export function outermost<T extends { path: RawPath }>(submodules: readonly T[]): T[] {
  return submodules.filter(({ path }) => !submodules.some((other) => path.startsWith(`${other.path}/`)));
}

/** Returns the id of a directory's tree in a tree: the empty one where there is none. */
export async function directoryTree(
  place: GitPlace,
  treeId: string,
  path: RawPath,
  { signal }: { signal: AbortSignal },
): Promise<string> {
  const args = ["rev-parse", "--verify", "--quiet", `${treeId}:${utf8Of(path)}`];
  const { code, stdout } = await tryGit(place, args, { signal });
  return code === 0 ? stdout.toString().trim() : await gitLine(place, ["mktree"], { signal, input: "" });
}

/** Returns the id of a tree with a submodule's commit, or a directory of its files, in the place of what it has there. */
export async function replaceSubmodules(
  scratch: Scratch,
  treeId: string,
  submodules: readonly { path: RawPath; mode: typeof GITLINK | typeof DIRECTORY; id: string }[],
  { signal }: { signal: AbortSignal },
): Promise<string> {
  if (submodules.length === 0) return treeId;
  const place = scratch.place("submodules");
  await git(place, ["read-tree", treeId], { signal });
  for (const { path, mode, id } of submodules) {
    const there = splitPaths(
      await git(place, ["--literal-pathspecs", "ls-files", "-z", "--", utf8Of(path)], { signal }),
    );
    const lines = there.map((old) => `0 ${ABSENT.padEnd(id.length, "0")}\t${old}`);
    if (mode === GITLINK) lines.push(`${mode} ${id}\t${path}`);
    await git(place, ["update-index", "-z", "--index-info"], { signal, input: joinPaths(lines) });
    if (mode === DIRECTORY) await git(place, ["read-tree", "-i", `--prefix=${utf8Of(path)}/`, id], { signal });
  }
  return await gitLine(place, ["write-tree"], { signal });
}
