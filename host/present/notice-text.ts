import { PendingRequest_Kind, type Session } from "../../proto/index.ts";
import type { Noticed } from "../session/attention.ts";
import { oneLine } from "./plain-text.ts";
import { sessionEntry } from "./session-entry.ts";
import { comeTo } from "./status-line.ts";

const TASK_LENGTH = 80;

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

function needText({ id, pendingRequests, waitingReason }: Session): string {
  if (waitingReason !== "") return `waits: ${oneLine(waitingReason)}`;
  if (pendingRequests.some(({ kind }) => kind === PendingRequest_Kind.PERMISSION)) {
    return `asks for a permission: decide_permission, or claudecluster allow ${id}`;
  }
  if (pendingRequests.length > 0) return `asks a question: answer_question, or claudecluster answer ${id}`;
  return `has answered and takes messages: send_message, or claudecluster send ${id}`;
}
