import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { git, type GitOptions, type GitPlace } from "./git.ts";

/** Returns those ids that are no commits with a tree where git works. */
export async function findMissing(place: GitPlace, ids: readonly string[], { signal }: GitOptions): Promise<string[]> {
  const input = ids.map((id) => `${id}^{tree}\n`).join("");
  const answers = (await git(place, ["cat-file", "--batch-check"], { input, signal })).toString().split("\n");
  return ids.filter((_, at) => !/^[0-9a-f]+ tree /.test(answers[at] ?? ""));
}

/** Boundary of a history that is not given out to its beginning. */
export interface HistoryBoundary {
  /** Commits whose parents are not given out. */
  commitIds: string[];
  /** Commits that are given out, with those of the boundary. Undefined: all that there are. */
  given: ReadonlySet<string> | undefined;
}

/**
 * Returns the boundary of the `depth` commits from those that are checked out, or of all if it is negative. Commits that the
 * repository itself has no parents of are part of it. Without heads there is no history.
 */
export async function findBoundary(
  gitDirectory: string,
  heads: readonly string[],
  { depth, signal }: { depth: number; signal: AbortSignal },
): Promise<HistoryBoundary> {
  if (heads.length === 0) return { commitIds: [], given: new Set() };
  const own = (await readFile(join(gitDirectory, "shallow"), "utf8").catch(() => ""))
    .split("\n")
    .filter((id) => id !== "");
  if (depth < 0) return { commitIds: own, given: undefined };
  const place = { settings: "none", gitDirectory } as const;
  const given = new Set(heads);
  let level = [...given];
  for (let at = 1; at < depth && level.length > 0; at++) {
    const input = level.map((id) => `${id}\n`).join("");
    const lines = (await git(place, ["rev-list", "--no-walk", "--parents", "--stdin"], { input, signal })).toString();
    const parents = lines.split("\n").flatMap((line) => line.split(" ").slice(1));
    level = [...new Set(parents)].filter((id) => !given.has(id));
    for (const id of level) given.add(id);
  }
  return { commitIds: [...new Set([...level, ...own.filter((id) => given.has(id))])], given };
}
