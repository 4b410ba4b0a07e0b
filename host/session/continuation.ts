import { createHash } from "node:crypto";
import { clone, create } from "@bufbuild/protobuf";
import {
  AppError,
  cutChars,
  isFinal,
  RepositorySpecSchema,
  type RestoreSessionRequest,
  RestoreSessionRequestSchema,
  RestoreStartSchema,
  type SessionSpec,
  SessionSpecSchema,
} from "../../proto/index.ts";
import type { SessionStore } from "../store/session-store.ts";

const PIECE_BYTES = 256 * 1024;

/**
 * Returns the spec of a session that continues another one: in the same repository, from the commit
 * that the one before started from, so that its changes fit and the new patch holds them too.
 * Throws PREVIOUS_SESSION_NOT_FOUND, PREVIOUS_SESSION_LIVE, REPOSITORY_DIFFERS.
 */
export function continueSpec(store: SessionStore, given: SessionSpec): SessionSpec {
  const id = given.previousSessionId;
  if (id === "") return given;
  const previous = store.getSession(id);
  if (previous?.spec === undefined) {
    throw new AppError("PREVIOUS_SESSION_NOT_FOUND", `There is no session "${cutChars(id, 64)}" to continue.`, {
      help: "`claudecluster list` shows those that are stored.",
      metadata: { session_id: cutChars(id, 64) },
    });
  }
  if (!isFinal(previous.state)) {
    throw new AppError("PREVIOUS_SESSION_LIVE", `Session ${id} has not finished.`, {
      help: "Send it a message instead: it goes on with that.",
      metadata: { session_id: id },
    });
  }
  const spec = clone(SessionSpecSchema, given);
  const { repository } = previous.spec;
  if (spec.repository !== undefined && spec.repository.uri !== repository?.uri) {
    throw new AppError("REPOSITORY_DIFFERS", `Session ${id} worked in another repository.`, {
      help: "Leave the repository out: it is the one of the session that is continued.",
    });
  }
  if (repository === undefined) return spec;
  const baseCommitId = previous.result?.baseCommitId ?? "";
  spec.repository = create(RepositorySpecSchema, {
    ...repository,
    ref: baseCommitId === "" ? repository.ref : baseCommitId,
  });
  return spec;
}

/** What the session before left, as RestoreSession takes it. Throws PREVIOUS_SESSION_NOT_FOUND. */
export function* restoreRequests(
  store: SessionStore,
  session: { sessionId: string; previousSessionId: string },
): Generator<RestoreSessionRequest> {
  const { sessionId, previousSessionId } = session;
  const kept = store.getLeft(previousSessionId);
  if (kept === undefined) {
    throw new AppError("PREVIOUS_SESSION_NOT_FOUND", `What session ${previousSessionId} left is not stored any more.`);
  }
  const { result, patch, transcript } = kept;
  const start = create(RestoreStartSchema, {
    sessionId,
    conversationId: result.conversationId,
    patchSizeBytes: BigInt(patch.length),
    patchSha256: sha256(patch),
    transcriptSizeBytes: BigInt(transcript.length),
    transcriptSha256: sha256(transcript),
  });
  yield create(RestoreSessionRequestSchema, { start });
  for (const piece of pieces(patch)) yield create(RestoreSessionRequestSchema, { patch: piece });
  for (const piece of pieces(transcript)) yield create(RestoreSessionRequestSchema, { transcript: piece });
}

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}
