import type { EventBody } from "../../proto/index.ts";

/** What a session's course can be told from, and what somebody has to answer. */
const ESSENTIAL = new Set<EventBody["case"]>([
  "stateChanged",
  "phaseChanged",
  "turnStarted",
  "turnFinished",
  "messageQueued",
  "sessionRestored",
  "userFilesCopied",
  "claudeReady",
  "permissionRequested",
  "permissionDecided",
  "questionAsked",
  "questionAnswered",
  "usageUpdated",
]);

/**
 * Returns whether an agent's event is stored. `storedBytes` counts it in; `full` says that an event was left out before.
 * Above its limit a session keeps its course (states, turns, usage) and loses what Claude says and does, and the diffs of
 * its files. The patch at its end is whole all the same. An eighth above the limit it loses its course too. The host's own
 * events are few: they are always kept, and not asked about here.
 */
export function isKept(
  kind: EventBody["case"],
  { storedBytes, limitBytes, full }: { storedBytes: number; limitBytes: number; full: boolean },
): boolean {
  return ESSENTIAL.has(kind) ? storedBytes <= limitBytes * 1.125 : storedBytes <= limitBytes && !full;
}
