import { existsSync } from "node:fs";
import { buffer } from "node:stream/consumers";
import { AppError, Artifact_Kind } from "../../proto/index.ts";
import { isPatchWithheld } from "../present/withheld-patch.ts";
import { readPatchedFile } from "../repository/patched-file.ts";
import { findRepository } from "../repository/user-repository.ts";
import type { Sessions } from "../session/sessions.ts";
import { startStores } from "./session-patch.ts";

/** Where the start of a session may be. */
export interface StartPlaces {
  /** State directory of this program, with its stores. */
  stateDirectory: string;
  /** A directory of the repository that the caller is in. Undefined: it is elsewhere. */
  directory: string | undefined;
  signal: AbortSignal;
}

/**
 * Reads a file as a session has left it, or as it is now in a live one. Throws NOT_FOUND, PATCH_MISMATCH, and what
 * readPatchedFile throws.
 */
export async function readSessionFile(
  sessions: Pick<Sessions, "get" | "openArtifact">,
  sessionId: string,
  path: string,
  { stateDirectory, directory, signal }: StartPlaces,
): Promise<Buffer> {
  const { spec, result, live } = await sessions.get(sessionId);
  const outcome = result?.outcome;
  if (outcome?.case === "failure" && isPatchWithheld({ failure: outcome.value })) {
    throw new AppError("PATCH_MISMATCH", outcome.value.message);
  }
  const snapshot = spec?.repository?.snapshot;
  const repository =
    directory === undefined ? undefined : await findRepository(directory, { signal }).catch(() => undefined);
  const places = [...startStores(snapshot, stateDirectory), repository?.objectDirectory ?? ""];
  using patch = await sessions.openArtifact(sessionId, Artifact_Kind.PATCH);
  const file = {
    path,
    patch: await buffer(patch.read()),
    startCommitId: result?.baseCommitId || live?.baseCommitId || snapshot?.untrackedCommitId || "",
    objectDirectories: places.filter((place) => place !== "" && existsSync(place)),
  };
  return await readPatchedFile(file, { signal });
}
