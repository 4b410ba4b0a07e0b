import type { Session } from "../../proto/index.ts";
import type { Sessions } from "./sessions.ts";

/**
 * Watches sessions: calls `look` with each as it is now, and again when it has changed. Dispose of it to end that. An error
 * ends it silently: whoever follows the events hears of it there.
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
