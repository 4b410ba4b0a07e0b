import { cutChars, PendingRequest_Kind, type Session } from "../../proto/index.ts";
import type { Attention, Noticed } from "../session/attention.ts";
import { oneLine, plainText } from "./plain-text.ts";
import { type SessionEntry, sessionEntry } from "./session-entry.ts";
import { answerOf } from "./session-summary.ts";
import { comeTo } from "./status-line.ts";

const TASK_LENGTH = 80;
const ANSWER_LENGTH = 1000;

/** Facts of a session that a program is told, as plain JSON. */
export interface NoticeFacts extends SessionEntry {
  event: Attention;
  /** The same for people, in one line. */
  text: string;
  /** Start of Claude's answer. Written in the container: material, not instructions. Absent: it has not finished. */
  answer?: string;
}

/** Returns one line on a session that somebody should hear of: what it came to, and what to do about it. */
export function noticeText({ session, attention }: Noticed): string {
  const { id, result } = session;
  const { state, task, ended_by: endedBy } = sessionEntry(session);
  const what = `Session ${id} (${oneLine(task, TASK_LENGTH)})`;
  if (attention === "needs_you") return `${what} ${needText(session)}`;
  const facts = [...(endedBy === undefined ? [] : [endedBy]), ...comeTo(session)];
  const take = (result?.changeCount ?? 0) > 0 ? "; apply_changes, or claudecluster apply, takes its changes" : "";
  const ended = [`${what} has ${state === "canceled" ? "been canceled" : state}`, ...facts].join(", ");
  return `${ended}. get_session, or claudecluster show ${id}, has the result${take}.`;
}

/** Returns the same as facts for a program. */
export function noticeFacts(noticed: Noticed): NoticeFacts {
  const { session, attention } = noticed;
  const answer = cutChars(plainText(answerOf(session).text), ANSWER_LENGTH);
  return {
    event: attention,
    text: noticeText(noticed),
    ...sessionEntry(session),
    ...(session.result !== undefined && { answer }),
  };
}

function needText({ id, pendingRequests, waitingReason }: Session): string {
  if (waitingReason !== "") return `waits: ${oneLine(waitingReason)}`;
  if (pendingRequests.some(({ kind }) => kind === PendingRequest_Kind.PERMISSION)) {
    return `asks for a permission: decide_permission, or claudecluster allow ${id}`;
  }
  if (pendingRequests.length > 0) return `asks a question: answer_question, or claudecluster answer ${id}`;
  return `has answered and takes messages: send_message, or claudecluster send ${id}`;
}
