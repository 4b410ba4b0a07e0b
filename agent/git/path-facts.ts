import { joinPaths, type RawPath, splitPaths } from "../../proto/index.ts";
import { type GitPlace, runIn } from "./git.ts";

/** File at a path as the session's user finds it. Symbolic links are not followed. */
export interface PathFact {
  /** Type as find prints it: f regular file, d directory, l symbolic link; others are pipes, sockets and the like. */
  type: string;
  readable: boolean;
  sizeBytes: number;
}

type Options = { signal: AbortSignal };

const print = (mark: string): string[] => ["-printf", `%y${mark}%s %p\\0`];
/** Arguments by which find writes what `readFacts` reads. */
export const FACTS = ["-maxdepth", "0", "(", "-readable", ...print("r"), "-o", ...print("-"), ")"];

/** Returns the facts of paths in the work tree. What does not exist or cannot be reached is not in the answer. */
export async function lookAt(
  place: GitPlace,
  workTree: string,
  paths: readonly RawPath[],
  options: Options,
): Promise<Map<RawPath, PathFact>> {
  if (paths.length === 0) return new Map();
  // find ends with 1 when a path is gone: that is an answer too.
  const input = joinPaths(paths.map((path) => `${workTree}/${path}`));
  const { stdout } = await runIn(place, "find", ["-files0-from", "-", ...FACTS], { ...options, input });
  return readFacts(splitPaths(stdout), `${workTree}/`);
}

/** Reads what find wrote. `top`: what each path begins with. */
export function readFacts(lines: readonly string[], top: string): Map<RawPath, PathFact> {
  return new Map(
    lines.map((line) => {
      const sizeEnd = line.indexOf(" ");
      const sizeBytes = Number(line.slice(2, sizeEnd));
      const path = line.slice(sizeEnd + 1 + top.length);
      return [path, { type: line.charAt(0), readable: line.charAt(1) === "r", sizeBytes }];
    }),
  );
}

/** Returns the directories of the work tree that the session's user cannot list or enter. */
export function findClosedDirectories(place: GitPlace, workTree: string, options: Options): Promise<RawPath[]> {
  const closed = ["-type", "d", "(", "!", "-readable", "-o", "!", "-executable", ")", "-printf", "%P\\0", "-prune"];
  return findInWorkTree(place, workTree, closed, options);
}

/** Returns the regular files of the work tree above a size. */
export function findLargeFiles(
  place: GitPlace,
  workTree: string,
  aboveBytes: number,
  options: Options,
): Promise<RawPath[]> {
  return findInWorkTree(place, workTree, ["-type", "f", "-size", `+${aboveBytes}c`, "-printf", "%P\\0"], options);
}

async function findInWorkTree(
  place: GitPlace,
  workTree: string,
  expression: readonly string[],
  options: Options,
): Promise<RawPath[]> {
  // With the slash the work tree may be a symbolic link: Claude owns the directory it is in.
  const args = [`${workTree}/`, "-mindepth", "1", "-name", ".git", "-prune", "-o", ...expression];
  return splitPaths((await runIn(place, "find", args, options)).stdout);
}
