import { clone, create } from "@bufbuild/protobuf";
import {
  AppError,
  Artifact_Kind,
  cutChars,
  isFinal,
  type ReadableArtifact,
  type RepositorySpec,
  RepositorySpecSchema,
  type SessionSpec,
  SessionSpecSchema,
} from "../../proto/index.ts";
import type { SessionStore } from "../store/session-store.ts";

/**
 * Returns the spec of a session that continues another one: in the same repository, from the start commit of the one
 * before, so that its changes fit and the new patch holds them too. Throws PREVIOUS_SESSION_NOT_FOUND,
 * PREVIOUS_SESSION_LIVE, REPOSITORY_DIFFERS.
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
  if (spec.repository !== undefined && !isSame(spec.repository, repository)) {
    throw new AppError("REPOSITORY_DIFFERS", `Session ${id} worked in another repository.`, {
      help: "Leave the repository out: it is the one of the session that is continued.",
    });
  }
  if (repository?.snapshot !== undefined) spec.repository = clone(RepositorySpecSchema, repository);
  if (repository === undefined || repository.snapshot !== undefined) return spec;
  const baseCommitId = previous.result?.baseCommitId ?? "";
  spec.repository = create(RepositorySpecSchema, {
    ...repository,
    ref: baseCommitId === "" ? repository.ref : baseCommitId,
  });
  return spec;
}

/** Whether both are the same repository; of snapshots also the same state of it. */
function isSame(a: RepositorySpec, b: RepositorySpec | undefined): boolean {
  return a.uri === b?.uri && a.snapshot?.untrackedCommitId === b.snapshot?.untrackedCommitId;
}

/** State that a finished session left for the one that continues it. */
export interface PreviousSession {
  /** Id of its conversation. Empty: it had none. */
  conversationId: string;
  /** Patch, and transcript if there is one. */
  artifacts: ReadableArtifact[];
}

/** Returns the state that a session left for the one that continues it. Throws PREVIOUS_SESSION_NOT_FOUND. */
export function restoreOf(store: SessionStore, previousSessionId: string): PreviousSession {
  const result = store.left.getResult(previousSessionId);
  const patch = store.left.getArtifact(previousSessionId, Artifact_Kind.PATCH);
  if (result === undefined || patch === undefined) {
    throw new AppError("PREVIOUS_SESSION_NOT_FOUND", `What session ${previousSessionId} left is not stored any more.`);
  }
  const transcript = store.left.getArtifact(previousSessionId, Artifact_Kind.TRANSCRIPT);
  const { conversationId } = result;
  return { conversationId, artifacts: transcript === undefined ? [patch] : [patch, transcript] };
}
