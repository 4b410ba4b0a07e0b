import type { Session } from "../../proto/index.ts";
import type { Sessions } from "./sessions.ts";

/**
 * Calls `look` with sessions as they are now and again when they have changed, until disposed of. What goes wrong is not told:
 * whoever follows their events hears of it there.
 */
export function watchUpdates(
  sessions: Pick<Sessions, "watchAll">,
  ids: readonly string[],
  look: (session: Session) => void,
): Disposable {
  const over = new AbortController();
  const follow = async () => {
    for await (const news of sessions.watchAll({ ids, signal: over.signal })) {
      if (over.signal.aborted) return;
      if (news.case === "updates") news.value.sessions.forEach(look);
    }
  };
  follow().catch(() => {});
  return { [Symbol.dispose]: () => over.abort() };
}
