import { durationMs, type Timestamp, timestampDate, timestampMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Session, type SessionEvent, Session_State } from "../../proto/index.ts";

/**
 * Returns a sentence on how a session goes on that has begun to wait for its user: by which command, and until when.
 * Undefined for every other event.
 */
export function nextStep({ id, spec }: Session, { event, occurTime }: SessionEvent): string | undefined {
  switch (event.case) {
    case "permissionRequested":
      return `to decide${until(event.value.expireTime)}: ${decideWith(id, "permission")}`;
    case "questionAsked":
      return `to answer${until(event.value.expireTime)}: ${decideWith(id, "question")}`;
    case "stateChanged": {
      const patienceMs = spec?.idleTimeout === undefined ? 0 : durationMs(spec.idleTimeout);
      if (event.value.state !== Session_State.IDLE || patienceMs === 0) return undefined;
      const end = occurTime === undefined ? undefined : timestampFromMs(timestampMs(occurTime) + patienceMs);
      return `to go on${until(end)}: claudecluster send ${id} …`;
    }
    default:
      return undefined;
  }
}

/**
 * Returns the command that decides what a session waits for. It holds nothing out of a container, since it will be
 * pasted.
 */
export function decideWith(sessionId: string, kind: "permission" | "question"): string {
  return kind === "question"
    ? `claudecluster answer ${sessionId} …`
    : `claudecluster allow ${sessionId}, or claudecluster deny`;
}

/** Returns the command that takes a session's changes in. */
export function takeWith(sessionId: string): string {
  return `claudecluster apply ${sessionId}`;
}

/** Empty for a time that is none: a container may say anything. */
function until(time: Timestamp | undefined): string {
  const date = time === undefined ? undefined : timestampDate(time);
  return date === undefined || Number.isNaN(date.getTime()) ? "" : ` until ${date.toISOString()}`;
}
