import { buffer } from "node:stream/consumers";
import { AppError, Artifact_Kind, isFinal, type Session } from "../../proto/index.ts";
import { isPatchWithheld } from "../present/withheld-patch.ts";
import type { SessionChanges } from "../repository/session-changes.ts";
import type { Sessions } from "../session/sessions.ts";

/**
 * Reads what a finished session has left, for a user's repository. Throws NOT_FOUND, SESSION_NOT_FINISHED, PATCH_MISMATCH
 * for a patch that is not to be applied.
 */
export async function readSessionChanges(
  sessions: Sessions,
  sessionId: string,
): Promise<{ session: Session; changes: SessionChanges }> {
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
  const changes: SessionChanges = {
    sessionId,
    startCommitId: result.baseCommitId,
    startFrom: spec?.repository?.uri ?? "",
    patch: await buffer(patch.read()),
    listed: result,
    treeId: result.treeId,
  };
  return { session, changes };
}
