import type { Sessions } from "./sessions.ts";

/** Between looks, in ms. */
const LOOK_MS = 2_000;

/**
 * Watches what a session waits for that no event can say. Calls `tell` with each new reason as a line for people, and
 * once it goes on. Dispose of it to end that.
 */
export function watchWaiting(
  sessions: Pick<Sessions, "get">,
  sessionId: string,
  tell: (line: string, waiting: boolean) => void,
  { lookMs = LOOK_MS }: { lookMs?: number } = {},
): Disposable {
  let known = "";
  let over = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async () => {
    // Whoever follows the events hears of what is wrong there.
    const reason = await sessions.get(sessionId).then(
      (session) => session.waitingReason,
      () => known,
    );
    if (over) return;
    if (reason !== known) tell(reason === "" ? "it goes on" : `waiting: ${reason}`, reason !== "");
    known = reason;
    later();
  };
  const later = () => (timer = setTimeout(() => void look(), lookMs));
  later();
  return {
    [Symbol.dispose]() {
      over = true;
      clearTimeout(timer);
    },
  };
}
