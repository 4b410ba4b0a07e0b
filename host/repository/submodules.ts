import { asArguments, type RawPath, splitPaths } from "../../proto/index.ts";
import { git, type GitOptions, type GitPlace, tryGit } from "./git.ts";
import { GITLINK } from "./tree-diff.ts";
import type { WorkTreeStatus } from "./work-tree-status.ts";

const REGISTERED = ["config", "-z", "--no-includes", "-f", ".gitmodules", "--get-regexp", "^submodule\\..*\\.path$"];

/** Returns the paths of submodules: those that .gitmodules names, and those that it does not name but have changed. */
export async function listSubmodules(
  place: GitPlace,
  { changed }: WorkTreeStatus,
  options: GitOptions,
): Promise<Set<RawPath>> {
  const found = new Set(changed.filter(({ indexMode }) => indexMode === GITLINK).map(({ path }) => path));
  const registered = splitPaths((await tryGit(place, REGISTERED, options)).stdout);
  if (registered.length === 0) return found;
  const paths = registered.map((line) => line.slice(line.indexOf("\n") + 1));
  const args = ["--literal-pathspecs", "ls-files", "-s", "-z", ...asArguments(paths)];
  const listed = splitPaths(await git(place, args, options));
  for (const line of listed) if (line.startsWith(GITLINK)) found.add(line.slice(line.indexOf("\t") + 1));
  return found;
}
