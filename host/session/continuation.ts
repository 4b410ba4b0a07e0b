import { clone } from "@bufbuild/protobuf";
import {
  AppError,
  Artifact_Kind,
  cutChars,
  isFinal,
  type ReadableArtifact,
  type RepositorySpec,
  RepositorySpecSchema,
  type Session,
  Session_State,
  type SessionSpec,
  SessionSpecSchema,
} from "../../proto/index.ts";
import { SessionLog } from "./session-log.ts";
import type { SessionStore } from "../store/session-store.ts";

/**
 * Returns the spec of a session that continues or follows another one: in the same repository, with the same setup and
 * files of the user unless it names its own, and if the other has ended from the start commit of that, so that its changes fit and the new patch holds them
 * too. Throws PREVIOUS_SESSION_NOT_FOUND, PREVIOUS_SESSION_LIVE, PREVIOUS_SESSION_FAILED, REPOSITORY_DIFFERS.
 */
export function continueSpec(store: SessionStore, given: SessionSpec): SessionSpec {
  const { previousSessionId, afterSessionId } = given;
  const id = previousSessionId || afterSessionId;
  if (id === "") return given;
  const previous = store.getSession(id);
  if (previous?.spec === undefined) {
    throw new AppError("PREVIOUS_SESSION_NOT_FOUND", `There is no session "${cutChars(id, 64)}" to go on from.`, {
      help: "`claudecluster list` shows those that are stored.",
      metadata: { session_id: cutChars(id, 64) },
    });
  }
  if (afterSessionId !== "" && isFinal(previous.state)) requireUsable(previous);
  if (previousSessionId !== "" && !isFinal(previous.state)) {
    throw new AppError("PREVIOUS_SESSION_LIVE", `Session ${id} has not finished.`, {
      help: "Send it a message instead: it goes on with that. Or let the new one start after it (--after).",
      metadata: { session_id: id },
    });
  }
  const spec = clone(SessionSpecSchema, given);
  const { repository, setup, userFiles } = previous.spec;
  if (spec.repository !== undefined && !isSame(spec.repository, repository)) {
    throw new AppError("REPOSITORY_DIFFERS", `Session ${id} worked in another repository.`, {
      help: "Leave the repository out: it is that of the session that this one goes on from.",
    });
  }
  if (spec.setup === undefined && setup !== undefined) spec.setup = setup;
  if (spec.userFiles === undefined && userFiles !== undefined) spec.userFiles = userFiles;
  if (repository === undefined) return spec;
  spec.repository = clone(RepositorySpecSchema, repository);
  const baseCommitId = previous.result?.baseCommitId ?? "";
  if (repository.snapshot === undefined && baseCommitId !== "") spec.repository.ref = baseCommitId;
  return spec;
}

/** Throws PREVIOUS_SESSION_FAILED if a finished session is none for another one to start from unseen. */
function requireUsable({ id, state, result }: Session): void {
  const succeeded = state === Session_State.SUCCEEDED;
  if (succeeded && result?.patchTruncated !== true) return;
  const outcome = result?.outcome;
  const ended = outcome?.case === "failure" ? `failed (${outcome.value.reason})` : "was canceled";
  const why = succeeded ? "may have changed more than its patch holds" : ended;
  throw new AppError("PREVIOUS_SESSION_FAILED", `Session ${id}, which this one was to follow, ${why}.`, {
    help: `Look at it with claudecluster show ${id}. To go on from it all the same, continue it.`,
    metadata: { session_id: id },
  });
}

/**
 * Waits until the session that the spec follows has finished, and returns the spec with which this one starts then. Rejects
 * with the signal's reason. Throws what continueSpec throws.
 */
export async function followSpec(
  store: SessionStore,
  spec: SessionSpec,
  { signal, onWaiting }: { signal: AbortSignal; onWaiting: (reason: string) => void },
): Promise<SessionSpec> {
  const id = spec.afterSessionId;
  if (id === "") return spec;
  const previous = store.getSession(id);
  if (previous !== undefined && !isFinal(previous.state)) {
    onWaiting(`${id} to succeed`);
    const events = new SessionLog(store, id).read({ afterSequence: previous.lastSequence, signal });
    for await (const _ of events);
    onWaiting("");
  }
  signal.throwIfAborted();
  return continueSpec(store, spec);
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

/** Returns the state that a session left for the one that goes on from it. Undefined: the spec names none. Throws PREVIOUS_SESSION_NOT_FOUND. */
export function restoreOf(
  store: SessionStore,
  { previousSessionId: continued, afterSessionId }: SessionSpec,
): PreviousSession | undefined {
  const previousSessionId = continued || afterSessionId;
  if (previousSessionId === "") return undefined;
  const result = store.left.getResult(previousSessionId);
  const patch = store.left.getArtifact(previousSessionId, Artifact_Kind.PATCH);
  if (result === undefined || patch === undefined) {
    throw new AppError("PREVIOUS_SESSION_NOT_FOUND", `What session ${previousSessionId} left is not stored any more.`);
  }
  if (afterSessionId !== "") return { conversationId: "", artifacts: [patch] };
  const transcript = store.left.getArtifact(previousSessionId, Artifact_Kind.TRANSCRIPT);
  const { conversationId } = result;
  return { conversationId, artifacts: transcript === undefined ? [patch] : [patch, transcript] };
}
