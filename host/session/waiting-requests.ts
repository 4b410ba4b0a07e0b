import type { PermissionRequested, QuestionAsked, SessionEvent } from "../../proto/index.ts";

/** What Claude waits for: a permission or an answer. */
export type WaitingRequest = PermissionRequested | QuestionAsked;

/** Returns what waits for a decision after these events, by its request id, oldest first. */
export function waitingRequests(events: Iterable<SessionEvent>): Map<string, WaitingRequest> {
  const waiting = new Map<string, WaitingRequest>();
  for (const event of events) noteRequest(waiting, event);
  return waiting;
}

/** Takes the next event. */
export function noteRequest(waiting: Map<string, WaitingRequest>, { event }: SessionEvent): void {
  switch (event.case) {
    case "permissionRequested":
    case "questionAsked":
      waiting.set(event.value.requestId, event.value);
      break;
    case "permissionDecided":
    case "questionAnswered":
      waiting.delete(event.value.requestId);
      break;
    case "sessionFinished":
      waiting.clear();
      break;
    default:
      break;
  }
}
