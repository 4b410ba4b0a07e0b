import { buffer } from "node:stream/consumers";
import { Artifact_Kind, isFinal, type Session, type TurnAnswer } from "../../proto/index.ts";
import type { Sessions } from "../session/sessions.ts";
import { SessionProgress } from "./session-progress.ts";
import {
  answerOf,
  MAX_INLINE_PATCH_BYTES,
  type SessionSummary,
  type ShownPatch,
  summarizeSession,
} from "./session-summary.ts";

/** Reads a session as it is now: finished as it was left, live as far as it has come. Throws NOT_FOUND. */
export async function readSummary(
  sessions: Sessions,
  sessionId: string,
): Promise<{ session: Session; summary: SessionSummary }> {
  const session = await sessions.get(sessionId);
  const [patch, progress] = await Promise.all([
    readShownPatch(sessions, sessionId),
    isFinal(session.state) ? undefined : readProgress(sessions, session),
  ]);
  return { session, summary: summarizeSession(session, patch, progress) };
}

/** Reads a patch as far as a summary shows it. */
async function readShownPatch(sessions: Sessions, sessionId: string): Promise<ShownPatch> {
  using patch = await sessions.openArtifact(sessionId, Artifact_Kind.PATCH);
  const sizeBytes = Number(patch.artifact.sizeBytes);
  return { sizeBytes, bytes: sizeBytes > MAX_INLINE_PATCH_BYTES ? undefined : await buffer(patch.read()) };
}

/** Reads a session's patch whole, for what cannot take it in pieces. Throws NOT_FOUND. */
export async function readPatch(sessions: Sessions, sessionId: string): Promise<Buffer> {
  using patch = await sessions.openArtifact(sessionId, Artifact_Kind.PATCH);
  return await buffer(patch.read());
}

/** Reads Claude's last answer, whole. Throws NOT_FOUND. */
export async function readAnswer(sessions: Sessions, sessionId: string): Promise<TurnAnswer> {
  const session = await sessions.get(sessionId);
  return answerOf(session, isFinal(session.state) ? undefined : await readProgress(sessions, session));
}

/** Reads the events that there are so far. */
export async function readProgress(sessions: Sessions, { id, lastSequence }: Session): Promise<SessionProgress> {
  const progress = new SessionProgress(id);
  if (lastSequence === 0) return progress;
  for await (const batch of sessions.watch(id, { afterSequence: 0, signal: new AbortController().signal })) {
    for (const event of batch) progress.add(event);
    if (batch.at(-1)!.sequence >= lastSequence) break;
  }
  return progress;
}
