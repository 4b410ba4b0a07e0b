import { AppError, checkMessageRoom, isFinal, type Session, sessionEnded, Session_State } from "../../proto/index.ts";

const ALL = Object.values(Session_State).filter(
  (state): state is Session_State => typeof state === "number" && state !== Session_State.UNSPECIFIED,
);

/** States of sessions that have not finished. */
export const LIVE_STATES: readonly Session_State[] = ALL.filter((state) => !isFinal(state));
/** States that sessions end in. */
export const FINAL_STATES: readonly Session_State[] = ALL.filter(isFinal);

/** Returns the error for a session without an agent: before it has a container, and at its end. */
export function notRunning(sessionId: string): AppError {
  return new AppError("SESSION_NOT_RUNNING", `Session ${sessionId} has no container now.`, {
    help: "claudecluster list --live shows those that run.",
    metadata: { session_id: sessionId },
  });
}

/**
 * Checks that there is a turn to interrupt. Throws TURN_NOT_RUNNING before the first turn, between two, and at the end.
 */
export function requireTurn({ id, state }: Session): void {
  if (state === Session_State.RUNNING || state === Session_State.WAITING) return;
  const name = Session_State[state].toLowerCase();
  throw new AppError("TURN_NOT_RUNNING", `No turn of session ${id} is running: it is ${name}.`, {
    help: "To end the session, stop it: stop_session, or claudecluster stop.",
    metadata: { session_id: id, state: name },
  });
}

/**
 * Checks that a session takes one more message beside those on their way to its agent. Throws SESSION_ENDED,
 * TURN_LIMIT_REACHED, QUEUE_FULL.
 */
export function requireMessageRoom({ state, spec, turnCount, live }: Session, underWay: number): void {
  if (state === Session_State.STOPPING) throw sessionEnded();
  const waiting = (live?.waitingMessageCount ?? 0) + underWay;
  checkMessageRoom({ taken: turnCount + waiting, waiting, maxCount: spec?.maxTurnCount ?? 0 });
}
