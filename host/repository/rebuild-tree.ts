import {
  AppError,
  findPatchMismatch,
  gitFailed,
  type ListedChanges,
  MAX_PATCH_BYTES,
  pieces,
} from "../../proto/index.ts";
import { binaryBytes } from "./binary-sizes.ts";
import { git, gitLine, tryGit } from "./git.ts";
import type { Scratch } from "./scratch.ts";
import { diffTrees, indexInfo, type TreeChange } from "./tree-diff.ts";
import { findPathProblem } from "./tree-path.ts";

/** A patch of the largest size takes some seconds. */
const REBUILD_TIMEOUT_MS = 120_000;
/** Most that binary files may come to, in both directions: git holds all of it in memory (bytes). */
export const MAX_BINARY_BYTES = 1024 * 1024 * 1024;

/** Tree that a patch makes of another one. */
export interface RebuiltTree {
  treeId: string;
  changes: TreeChange[];
  /** True: the tree is the one that the session's agent named. False: it has named none. */
  proven: boolean;
}

/**
 * Rebuilds a session's tree: applies its patch to the tree that the session started from, in a scratch index. Without a
 * list of changes it is only compared with the tree that the agent named. Nothing is checked out. It has two minutes. Throws PATCH_MISMATCH if the patch is not what its list says, would touch what no patch
 * may, or makes another tree than the agent named; PATCH_NOT_APPLIED if it does not fit; PATCH_TOO_LARGE.
 */
export async function rebuildTree(
  scratch: Scratch,
  startTreeId: string,
  { patch, listed, treeId: named }: { patch: Uint8Array; listed?: ListedChanges; treeId: string },
  options: { signal: AbortSignal },
): Promise<RebuiltTree> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(REBUILD_TIMEOUT_MS)]);
  if (patch.length > MAX_PATCH_BYTES) {
    throw new AppError("PATCH_TOO_LARGE", `The patch has more than ${MAX_PATCH_BYTES} bytes.`);
  }
  if (binaryBytes(patch) > MAX_BINARY_BYTES) {
    throw new AppError("PATCH_TOO_LARGE", `The patch's binary files come to more than ${MAX_BINARY_BYTES} bytes.`);
  }
  const mismatch = listed && (await findPatchMismatch(pieces(patch), listed));
  if (mismatch !== undefined) throw patchMismatch(`it is not what the list of changes says: ${mismatch}`);
  const place = scratch.place("rebuild");
  await git(place, ["read-tree", startTreeId], { signal });
  if (patch.length > 0) {
    const result = await tryGit(place, ["apply", "--cached", "--whitespace=nowarn", "-"], { signal, input: patch });
    if (result.code !== 0) {
      const cause = gitFailed(["apply"], result);
      throw new AppError("PATCH_NOT_APPLIED", `The patch does not fit its start: ${cause.metadata["said"] ?? ""}.`, {
        cause,
        metadata: { ...cause.metadata },
        help: "Look at it with claudecluster diff.",
      });
    }
  }
  const treeId = await gitLine(place, ["write-tree"], { signal });
  const changes = await diffTrees(place, [startTreeId, treeId], { signal });
  for (const change of changes) {
    const problem = findPathProblem(change);
    if (problem !== undefined) throw patchMismatch(problem);
  }
  if (named !== "" && named !== treeId)
    throw patchMismatch("it makes other files than the session's agent has computed");
  return { treeId, changes, proven: named !== "" };
}

/** Returns the id of the start's tree with the given changes alone. */
export async function selectChanges(
  scratch: Scratch,
  startTreeId: string,
  changes: readonly TreeChange[],
  { signal }: { signal: AbortSignal },
): Promise<string> {
  const place = scratch.place("select");
  await git(place, ["read-tree", startTreeId], { signal });
  await git(place, ["update-index", "-z", "--index-info"], { signal, input: indexInfo(changes) });
  return await gitLine(place, ["write-tree"], { signal });
}

function patchMismatch(why: string): AppError {
  return new AppError("PATCH_MISMATCH", `The patch is not to be applied: ${why}.`, {
    metadata: { mismatch: why },
    help: "To look at it: claudecluster diff --force.",
  });
}
