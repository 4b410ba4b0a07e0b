import { durationMs } from "@bufbuild/protobuf/wkt";
import { isFinal, type Session, Session_State } from "../../proto/index.ts";
import type { Sessions } from "./sessions.ts";
import { LIVE_STATES } from "./states.ts";

/** Reason to tell somebody of a session. */
export type Attention = "finished" | "failed" | "needs_you";

/** Session that somebody should hear of. */
export interface Noticed {
  session: Session;
  attention: Attention;
}

/** Returns why somebody should hear of a session as it stands. Undefined: it goes on by itself. */
function attentionOf(session: Session): Attention | undefined {
  const { state, spec, waitingReason } = session;
  if (state === Session_State.FAILED) return "failed";
  if (isFinal(state)) return "finished";
  const takesMessages = spec?.idleTimeout !== undefined && durationMs(spec.idleTimeout) > 0;
  const waits = state === Session_State.WAITING || (state === Session_State.IDLE && takesMessages);
  return waits || waitingReason !== "" ? "needs_you" : undefined;
}

/** Where a watch for attention begins, and what ends it. */
export interface AttentionOptions {
  /** Whether sessions that need somebody as it begins are told of. Default: only those that begin to. */
  alsoNow?: boolean;
  /** Signal that ends the watch without an error. */
  signal: AbortSignal;
}

/**
 * Watches for sessions that finish, fail or begin to need somebody, and yields each once for each time that it does. It goes
 * on across a restart of the host: what ended meanwhile is told of then. Throws what `watchAll` throws.
 */
export async function* watchAttention(
  sessions: Pick<Sessions, "get" | "watchAll">,
  { alsoNow = false, signal }: AttentionOptions,
): AsyncGenerator<Noticed, undefined> {
  /** What was told of each live session. */
  const told = new Map<string, string>();
  /** Those that a new host has not told of yet. */
  let unseen = new Set<string>();
  let begun = alsoNow;
  const look = (session: Session): Noticed[] => {
    const { id, state } = session;
    const attention = attentionOf(session);
    const key = attention === "needs_you" ? needOf(session) : "";
    const isNew = isFinal(state) || (key !== "" && key !== told.get(id) && begun);
    if (isFinal(state)) told.delete(id);
    else told.set(id, key);
    return isNew && attention !== undefined ? [{ session, attention }] : [];
  };
  for await (const { case: kind, value } of sessions.watchAll({ states: LIVE_STATES, signal })) {
    if (kind === "hello") {
      if (!value.resumed) unseen = new Set(told.keys());
      continue;
    }
    for (const id of value.removedSessionIds) told.delete(id);
    for (const session of value.sessions) {
      unseen.delete(session.id);
      yield* look(session);
    }
    if (!value.caughtUp) continue;
    begun = true;
    for (const id of unseen) {
      const session = told.has(id) ? await sessions.get(id).catch(() => undefined) : undefined;
      if (session === undefined) told.delete(id);
      else yield* look(session);
    }
    unseen.clear();
  }
}

/** What a session needs somebody for: another text for each time that it does. */
function needOf({ pendingRequests, waitingReason, turnCount }: Session): string {
  return JSON.stringify([waitingReason !== "", turnCount, pendingRequests.map(({ requestId }) => requestId)]);
}
