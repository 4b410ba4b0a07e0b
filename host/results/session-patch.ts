import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import {
  AppError,
  Artifact_Kind,
  isFinal,
  type RepositorySnapshot,
  type Session,
  type SessionResult,
  rawPathOf,
} from "../../proto/index.ts";
import { isPatchWithheld } from "../present/withheld-patch.ts";
import type { SessionChanges } from "../repository/session-changes.ts";
import { storesDirectory } from "../snapshots/snapshot-stores.ts";
import type { Sessions } from "../session/sessions.ts";

/**
 * Reads the changes of a finished session, for a user's repository. `startStores` are object directories that may have its
 * start. Throws NOT_FOUND, SESSION_NOT_FINISHED, and PATCH_MISMATCH for a patch that is not to be applied.
 */
export async function readSessionChanges(
  sessions: Sessions,
  sessionId: string,
  { stateDirectory }: { stateDirectory: string },
): Promise<{ session: Session; result: SessionResult; changes: SessionChanges; startStores: string[] }> {
  const session = await sessions.get(sessionId);
  const { result, spec } = session;
  if (!isFinal(session.state) || result === undefined) {
    throw new AppError(
      "SESSION_NOT_FINISHED",
      `Session ${sessionId} has not finished: its changes are not settled yet.`,
      {
        help: `Wait for it (claudecluster watch ${sessionId}), or end it: claudecluster stop ${sessionId}.`,
        metadata: { session_id: sessionId },
      },
    );
  }
  const { outcome } = result;
  if (outcome.case === "failure" && isPatchWithheld({ failure: outcome.value })) {
    throw new AppError("PATCH_MISMATCH", outcome.value.message, { help: "To look at it: claudecluster diff --force." });
  }
  using patch = await sessions.openArtifact(sessionId, Artifact_Kind.PATCH);
  const snapshot = spec?.repository?.snapshot;
  const changes: SessionChanges = {
    sessionId,
    startCommitId: result.baseCommitId,
    startFrom: snapshot === undefined ? (spec?.repository?.uri ?? "") : "",
    ...snapshotStart(snapshot),
    patch: await buffer(patch.read()),
    listed: result,
    treeId: result.treeId,
  };
  return { session, result, changes, startStores: startStores(snapshot, stateDirectory) };
}

/** Object directories that may have the start of a snapshot. Undefined: the start is no snapshot. */
export function startStores(snapshot: RepositorySnapshot | undefined, stateDirectory: string): string[] {
  // What was not committed is in the store of that repository: the host's where that is on this machine, and ours where we sent it.
  const names = [snapshot?.store ?? "", snapshot?.senderStore ?? ""].filter((name) => /^[0-9a-z]+$/.test(name));
  return names.map((name) => join(storesDirectory(stateDirectory), name, "objects"));
}

/** Returns what a snapshot says of the start of a session. Undefined: the start is no snapshot. */
export function snapshotStart(
  snapshot: RepositorySnapshot | undefined,
): Pick<SessionChanges, "headCommitId" | "submodules" | "largePaths"> {
  const { headCommitId, submodules = [], largePaths: large = [] } = snapshot ?? {};
  return {
    headCommitId,
    submodules: submodules.map(({ path, headCommitId: commitId }) => ({ path: rawPathOf(path), commitId })),
    largePaths: [
      ...large.map(rawPathOf),
      ...submodules.flatMap(({ path, largePaths }) =>
        largePaths.map((inner) => `${rawPathOf(path)}/${rawPathOf(inner)}`),
      ),
    ],
  };
}
