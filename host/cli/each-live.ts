import { isFinal, type Session } from "../../proto/index.ts";
import type { Sessions } from "../session/sessions.ts";
import { LIVE_STATES } from "../session/states.ts";

/** Callbacks for the sessions that are live, and what ends the watch for more. */
export interface EachLiveOptions<T> {
  /** Signal that ends the watch for more sessions. Ending `follow` is up to the caller. */
  signal: AbortSignal;
  /** Called once for each session, to follow it to its end. */
  follow: (session: Session) => Promise<T>;
  /** Called with each session as it is now, after `follow`. */
  look: (session: Session) => void;
}

/**
 * Follows every session that is live now or becomes so meanwhile, until none is. Returns what `follow` resolved with, with the
 * session's id, oldest session first. Throws what `follow` throws.
 */
export async function followEachLive<T>(
  sessions: Sessions,
  { signal, follow, look }: EachLiveOptions<T>,
): Promise<[id: string, ended: T][]> {
  const following = new Map<string, Promise<T>>();
  const live = new Set<string>();
  const failed = new AbortController();
  const over = AbortSignal.any([signal, failed.signal]);
  for await (const { case: kind, value } of sessions.watchAll({ states: LIVE_STATES, signal: over })) {
    if (kind === "hello") {
      // Those that still are follow.
      live.clear();
      continue;
    }
    for (const id of value.removedSessionIds) live.delete(id);
    // A list has the newest first.
    for (const session of value.sessions.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
      const { id, state } = session;
      if (isFinal(state)) live.delete(id);
      else live.add(id);
      if (!isFinal(state) && !following.has(id)) {
        const followed = follow(session);
        following.set(id, followed);
        followed.catch(() => failed.abort());
      }
      look(session);
    }
    if (value.caughtUp && live.size === 0) break;
  }
  const ended = [...following].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return await Promise.all(ended.map(async ([id, followed]): Promise<[string, T]> => [id, await followed]));
}
