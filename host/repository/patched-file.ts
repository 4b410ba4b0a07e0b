import { AppError, rawPathOf } from "../../proto/index.ts";
import { rawPathText } from "../present/path-text.ts";
import { binaryBytes } from "./binary-sizes.ts";
import { git, isObjectId, tryGit } from "./git.ts";
import { MAX_BINARY_BYTES } from "./rebuild-tree.ts";
import { Scratch } from "./scratch.ts";
import { ABSENT } from "./tree-diff.ts";
import { findPathProblem } from "./tree-path.ts";

/** Longest file that is read whole: somebody's conversation is to hold it (bytes). */
const MAX_FILE_BYTES = 1024 * 1024;

/** A file that a patch changes, or leaves as its start has it. */
export interface PatchedFile {
  path: string;
  patch: Uint8Array;
  /** Commit that the patch is against. "": there is none. */
  startCommitId: string;
  /** Object directories that may have the start. */
  objectDirectories: readonly string[];
}

/**
 * Reads a file as it is with a patch, in a scratch repository. Where the start is not here, only files that the patch adds are.
 * Throws CHANGE_NOT_FOUND for a file that is not there, START_NOT_FOUND, PATCH_NOT_APPLIED, PATCH_TOO_LARGE, and
 * OUTPUT_TOO_LARGE above a mebibyte.
 */
export async function readPatchedFile(
  { path, patch, startCommitId, objectDirectories }: PatchedFile,
  { signal }: { signal: AbortSignal },
): Promise<Buffer> {
  const shown = rawPathText(rawPathOf(path));
  const problem = findPathProblem({ path: rawPathOf(path), newMode: ABSENT });
  if (problem !== undefined) throw notThere(shown, `: ${problem}`);
  if (binaryBytes(patch) > MAX_BINARY_BYTES) {
    throw new AppError("PATCH_TOO_LARGE", `The patch's binary files come to more than ${MAX_BINARY_BYTES} bytes.`);
  }
  const objectFormat = startCommitId.length === 64 ? "sha256" : "sha1";
  await using scratch = await Scratch.create({ objectFormat, borrowed: objectDirectories, signal });
  const place = scratch.place("file");
  const isId = isObjectId(startCommitId);
  const hasStart = isId && (await tryGit(place, ["read-tree", startCommitId], { signal })).code === 0;
  if (patch.length > 0) {
    // One file's part of it.
    const include = `--include=${path.replace(/[\\*?[]/g, "\\$&")}`;
    const args = ["apply", "--cached", "--whitespace=nowarn", include, "-"];
    const { code } = await tryGit(place, args, { signal, input: patch });
    if (code !== 0 && hasStart)
      throw new AppError("PATCH_NOT_APPLIED", `The patch of ${shown} does not fit its start.`);
    if (code !== 0) throw startMissing(shown);
  }
  const blob = `:0:${path}`;
  const size = await tryGit(place, ["cat-file", "-s", blob], { signal });
  if (size.code !== 0) {
    if (isId && !hasStart) throw startMissing(shown);
    throw notThere(shown);
  }
  if (Number(size.stdout) > MAX_FILE_BYTES) {
    throw new AppError(
      "OUTPUT_TOO_LARGE",
      `${shown} has ${String(size.stdout).trim()} bytes, more than are read here.`,
      {
        help: "read_changes shows its diff page by page; apply_changes takes it into your repository.",
      },
    );
  }
  return await git(place, ["cat-file", "blob", blob], { signal });
}

function notThere(shown: string, why = ""): AppError {
  return new AppError("CHANGE_NOT_FOUND", `The session has no file ${shown}${why}.`, {
    help: "read_changes without path lists what it has changed.",
  });
}

function startMissing(shown: string): AppError {
  return new AppError("START_NOT_FOUND", `What ${shown} was before the session is not on this machine.`, {
    help: "read_changes with its path shows its diff.",
  });
}
