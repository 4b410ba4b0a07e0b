import { buffer } from "node:stream/consumers";
import {
  answerWithin,
  Artifact_Kind,
  decisionAsked,
  isFinal,
  type PendingDecision,
  type Session,
  type SessionEvent,
  type TurnAnswer,
} from "../../proto/index.ts";
import type { Sessions } from "../session/sessions.ts";
import { SessionProgress } from "./session-progress.ts";
import {
  answerOf,
  type LiveDetails,
  MAX_INLINE_PATCH_BYTES,
  type SessionSummary,
  type ShownPatch,
  summarizeSession,
} from "./session-summary.ts";

/** So many of the newest events are looked at for what a session has been doing. */
const RECENT_EVENTS = 100;

/** Returns the summary of a session: as it was left, or as far as it has come. Throws NOT_FOUND. */
export async function readSummary(
  sessions: Sessions,
  sessionId: string,
): Promise<{ session: Session; summary: SessionSummary }> {
  const session = await sessions.get(sessionId);
  const [patch, details] = await Promise.all([
    readShownPatch(sessions, sessionId),
    isFinal(session.state) ? undefined : readDetails(sessions, session),
  ]);
  return { session, summary: summarizeSession(session, patch, details) };
}

/** Reads a patch as far as a summary shows it. */
async function readShownPatch(sessions: Sessions, sessionId: string): Promise<ShownPatch> {
  using patch = await sessions.openArtifact(sessionId, Artifact_Kind.PATCH);
  const sizeBytes = Number(patch.artifact.sizeBytes);
  return { sizeBytes, bytes: sizeBytes > MAX_INLINE_PATCH_BYTES ? undefined : await buffer(patch.read()) };
}

/** Returns a session's whole patch, for readers that cannot take it in pieces. Throws NOT_FOUND. */
export async function readPatch(sessions: Sessions, sessionId: string): Promise<Buffer> {
  using patch = await sessions.openArtifact(sessionId, Artifact_Kind.PATCH);
  return await buffer(patch.read());
}

/**
 * Returns Claude's last answer, whole as far as it is kept. Of a live session it is that of the last turn with one.
 * Throws NOT_FOUND.
 */
export async function readAnswer(sessions: Sessions, sessionId: string): Promise<TurnAnswer> {
  return wholeAnswer(sessions, await sessions.get(sessionId));
}

/** Returns the newest events of a session, and those that it waits for a decision on, oldest first. */
export function readRecent(
  sessions: Sessions,
  { id, lastSequence, pendingRequests }: Pick<Session, "id" | "lastSequence" | "pendingRequests">,
): Promise<SessionEvent[]> {
  const from = Math.max(1, lastSequence - RECENT_EVENTS + 1);
  const older = pendingRequests.map(({ sequence }) => sequence).filter((sequence) => sequence < from);
  const ranges = [...older.map((sequence) => ({ from: sequence, to: sequence })), { from, to: lastSequence }];
  return Promise.all(ranges.map((range) => readEvents(sessions, id, range))).then((events) => events.flat());
}

/** Returns what a session waits to have decided, oldest first. */
export async function readPending(sessions: Sessions, { id, pendingRequests }: Session): Promise<PendingDecision[]> {
  const ranges = pendingRequests.map(({ sequence }) => readEvents(sessions, id, { from: sequence, to: sequence }));
  return (await Promise.all(ranges)).flat().flatMap((event) => decisionAsked(event) ?? []);
}

/** Returns whether the turn of a message has begun that was sent after an event. */
export async function turnBegun(
  sessions: Sessions,
  { id, lastSequence: to }: Session,
  message: { id: string; afterSequence: number },
): Promise<boolean> {
  const events = await readEvents(sessions, id, { from: message.afterSequence + 1, to });
  return events.some(({ event }) => event.case === "turnStarted" && event.value.messageId === message.id);
}

async function readDetails(sessions: Sessions, session: Session): Promise<LiveDetails> {
  const [recent, answer] = await Promise.all([readRecent(sessions, session), wholeAnswer(sessions, session)]);
  const progress = new SessionProgress(session.id);
  for (const event of recent) progress.note(event);
  return { lines: progress.lines, waiting: pendingOf(session, recent), answer };
}

function pendingOf({ pendingRequests }: Session, recent: readonly SessionEvent[]): PendingDecision[] {
  const asked = new Set(pendingRequests.map(({ sequence }) => sequence));
  return recent.filter(({ sequence }) => asked.has(sequence)).flatMap((event) => decisionAsked(event) ?? []);
}

async function wholeAnswer(sessions: Sessions, session: Session): Promise<TurnAnswer> {
  const { result, live } = session;
  if (result !== undefined || live?.answer?.truncated !== true) return answerOf(session);
  const { firstSequence: from, lastSequence: to } = live.answer;
  return (await answerWithin(await readEvents(sessions, session.id, { from, to }))) ?? answerOf(session);
}

/** Reads the events between two numbers, both included, which are there. */
async function readEvents(
  sessions: Sessions,
  id: string,
  { from, to }: { from: number; to: number },
): Promise<SessionEvent[]> {
  const events: SessionEvent[] = [];
  if (to < from) return events;
  for await (const batch of sessions.watch(id, { afterSequence: from - 1, signal: new AbortController().signal })) {
    events.push(...batch.filter(({ sequence }) => sequence <= to));
    if (batch.at(-1)!.sequence >= to) break;
  }
  return events;
}
