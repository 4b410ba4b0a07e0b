import { PendingRequest_Kind, Phase, type Session, Session_State } from "../../../proto/index.ts";
import { phaseName, stateName } from "../../present/session-summary.ts";
import { NOT_TAKEN, takenText } from "../../present/taken-text.ts";

/** Returns what a session does now, or what has become of it. Parts of it may come from its container. */
export function doing(session: Session): string {
  const { state, live, phase, pendingRequests, result, waitingReason } = session;
  if (waitingReason !== "") return waitingReason;
  switch (state) {
    case Session_State.QUEUED:
      return `place ${live?.queuePosition ?? 0} in the queue`;
    case Session_State.WAITING: {
      const { kind, toolName } = pendingRequests[0] ?? {};
      const more = pendingRequests.length > 1 ? `, and ${pendingRequests.length - 1} more` : "";
      return (kind === PendingRequest_Kind.QUESTION ? "asks a question" : `asks to use ${toolName ?? ""}`) + more;
    }
    case Session_State.IDLE:
      return "waits for a message";
    case Session_State.RUNNING:
      return live?.toolName ? `${live.toolName} ${live.toolSubject}` : "thinks";
    case Session_State.PREPARING:
    case Session_State.STOPPING:
      return phase === Phase.UNSPECIFIED ? stateName(state) : `${stateName(state)}: ${phaseName(phase)}`;
    case Session_State.UNSPECIFIED:
      return "";
    default:
  }
  const { outcome } = result ?? {};
  if (outcome?.case === "failure") return `${outcome.value.reason}: ${outcome.value.message}`;
  const taken = takenText(session);
  const changes = taken === undefined ? "nothing to apply" : taken === NOT_TAKEN ? "not applied yet" : `taken ${taken}`;
  return outcome?.case === "cancellation" ? `canceled: ${outcome.value.reason}; ${changes}` : changes;
}
