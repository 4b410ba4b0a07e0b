import { foldEvent, isFinal, type SessionEvent, Session_State } from "../../proto/index.ts";
import type { Sessions } from "./sessions.ts";

/** State that the caller knows of, and what ends the wait. */
export interface AwaitOptions {
  /** Number of the last event that the caller knows, with the state after it in `state`. */
  afterSequence: number;
  state: Session_State;
  /** Message that was sent: an idle session only counts after its turn. Default: none was. */
  messageId?: string;
  signal: AbortSignal;
  onEvent(event: SessionEvent): void;
}

/**
 * Waits until a session needs somebody: it has finished, is idle, or waits for a decision. Returns its state then, or undefined
 * after an abort. The session is not touched.
 */
export async function awaitSession(
  sessions: Sessions,
  sessionId: string,
  options: AwaitOptions,
): Promise<Session_State | undefined> {
  const { afterSequence, messageId, signal, onEvent } = options;
  let { state } = options;
  // Until its turn has started, an idle session is one that has not got to the message yet.
  let begun = messageId === undefined;
  const settled = () => isFinal(state) || state === Session_State.WAITING || (state === Session_State.IDLE && begun);
  if (settled()) return state;
  for await (const batch of sessions.watch(sessionId, { afterSequence, signal })) {
    for (const event of batch) {
      onEvent(event);
      const body = event.event;
      if (body.case === "turnStarted" && body.value.messageId === messageId) {
        begun = true;
        // Said a moment later by an event of its own.
        state = Session_State.RUNNING;
      }
      if (body.case === "stateChanged" || body.case === "sessionFinished") state = body.value.state;
      if (settled()) return state;
    }
  }
  return undefined;
}

/** A decision reaches the agent in no time, unless the connection is lost (ms). */
const DECIDED_MS = 10_000;

/**
 * Waits until a decision has arrived and the session goes on, or waits for the next one. Ends silently on an abort, and
 * after `forMs`, by default 10 s: the decision is kept until it arrives. Throws NOT_FOUND.
 */
export async function awaitDecided(
  sessions: Sessions,
  sessionId: string,
  { requestId, signal, forMs = DECIDED_MS }: { requestId: string; signal: AbortSignal; forMs?: number },
): Promise<void> {
  const session = await sessions.get(sessionId);
  const settled = () =>
    isFinal(session.state) ||
    (session.decidedRequestIds.includes(requestId) &&
      (session.state !== Session_State.WAITING || session.pendingRequests.length > 0));
  if (settled()) return;
  const patience = AbortSignal.any([signal, AbortSignal.timeout(forMs)]);
  for await (const batch of sessions.watch(sessionId, { afterSequence: session.lastSequence, signal: patience })) {
    for (const event of batch) {
      foldEvent(session, event);
      if (settled()) return;
    }
  }
}
