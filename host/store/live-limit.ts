import type { EventBody } from "../../proto/index.ts";

/** What a session's course can be told from, and what somebody has to answer. */
const ESSENTIAL = new Set<EventBody["case"]>([
  "stateChanged",
  "phaseChanged",
  "turnStarted",
  "turnFinished",
  "messageQueued",
  "sessionRestored",
  "claudeReady",
  "permissionRequested",
  "permissionDecided",
  "questionAsked",
  "questionAnswered",
  "usageUpdated",
]);

/**
 * Whether an agent's event is stored, in view of what the session has stored with it, and of whether
 * anything was left out before. Above its limit a session keeps its course (states, turns, usage) and
 * loses what Claude says and does, and the diffs of its files; the patch at its end is whole all the
 * same. An agent that floods the host with the former loses those too, an eighth of the limit later.
 * The host's own events are few and always kept.
 */
export function isKept(
  kind: EventBody["case"],
  { storedBytes, limitBytes, full }: { storedBytes: number; limitBytes: number; full: boolean },
): boolean {
  return ESSENTIAL.has(kind) ? storedBytes <= limitBytes * 1.125 : storedBytes <= limitBytes && !full;
}
