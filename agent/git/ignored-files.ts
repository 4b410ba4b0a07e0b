import { create } from "@bufbuild/protobuf";
import {
  type IgnoredFiles,
  IgnoredFilesSchema,
  joinPaths,
  quotePath,
  type RawPath,
  splitPaths,
} from "../../proto/index.ts";
import { runIn, tryGit } from "./git.ts";
import { findOwnCheckouts } from "./own-checkouts.ts";
import type { PrivateIndex } from "./private-index.ts";
import { withoutBlocking } from "./unblock-fifos.ts";

/** Dependencies of a large project are counted in a second. */
const TIME_MS = 10_000;
const MAX_OUTPUT_BYTES = 32 * 1024 * 1024;
/** Enough to see what kind of files they are. */
const MAX_PATHS = 100;

/** Writes a byte for each file below the paths of stdin. */
const COUNT = ["-name", ".git", "-prune", "-o", "(", "-type", "f", "-o", "-type", "l", ")", "-printf", "."];

/** Writes the directories that are repositories. */
const REPOSITORIES = ["-name", ".git", "-prune", "-printf", "%h/\\0"];

/** git lists a directory and the ignored files in it, where these are ignored one by one. */
function outermost(paths: readonly RawPath[]): RawPath[] {
  const directories = new Set(paths.filter((path) => path.endsWith("/")));
  const parents = (path: RawPath): RawPath[] =>
    [...path.matchAll(/\//g)].map(({ index }) => path.slice(0, index + 1)).filter((parent) => parent !== path);
  return paths.filter((path) => !parents(path).some((parent) => directories.has(parent)));
}

/**
 * Counts the new files that git ignores. The index must hold all that is in the patch. Undefined: they could not be
 * listed.
 */
export async function countIgnored(
  index: PrivateIndex,
  options: { signal: AbortSignal },
): Promise<IgnoredFiles | undefined> {
  const { place, ownerPlace, workTree } = index;
  const limited = AbortSignal.any([options.signal, AbortSignal.timeout(TIME_MS)]);
  let paths: RawPath[];
  try {
    const args = ["-C", workTree, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"];
    const listed = await withoutBlocking(ownerPlace, workTree, limited, (signal) =>
      tryGit(place, args, { signal, maxOutputBytes: MAX_OUTPUT_BYTES }),
    );
    if (listed.code !== 0) return undefined;
    paths = outermost(splitPaths(listed.stdout));
  } catch {
    options.signal.throwIfAborted();
    return undefined;
  }
  const directories = paths.filter((path) => path.endsWith("/"));
  const shown = paths.slice(0, MAX_PATHS).map(quotePath);
  const ignored = create(IgnoredFilesSchema, { paths: shown, fileCount: paths.length - directories.length });
  if (directories.length === 0) return ignored;
  try {
    const input = joinPaths(directories.map((path) => `${workTree}/${path}`));
    const find = async (input: Buffer, expression: readonly string[]) => {
      const options = { input, signal: limited, maxOutputBytes: MAX_OUTPUT_BYTES };
      return await runIn(place, "find", ["-files0-from", "-", ...expression], options);
    };
    const below = await find(input, COUNT);
    // Other checkouts of the same repository are named elsewhere.
    const found = splitPaths((await find(input, REPOSITORIES)).stdout).map((path) => path.slice(workTree.length + 1));
    const checkouts = outermost(await findOwnCheckouts(index, found.slice(0, MAX_PATHS), { signal: limited }));
    const within = joinPaths(checkouts.map((path) => `${workTree}/${path}`));
    const elsewhere = checkouts.length === 0 ? 0 : (await find(within, COUNT)).stdout.length;
    ignored.fileCount += below.stdout.length - elsewhere;
    ignored.incomplete = below.code !== 0;
  } catch {
    options.signal.throwIfAborted();
    ignored.incomplete = true;
  }
  return ignored;
}
