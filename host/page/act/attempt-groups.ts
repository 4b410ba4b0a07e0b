import { MAX_ATTEMPTS, type Session } from "../../../proto/index.ts";

/** Most groups that are offered. */
const MAX_GROUPS = 50;

/** Sessions that were given one task on one state of a repository: attempts at it. */
export interface AttemptGroup {
  task: string;
  ids: string[];
}

/**
 * Finds the attempts among sessions, those whose newest is newest first; of more than there may be of a task the newest. The
 * sessions are in the order of their ids.
 */
export function attemptGroups(sessions: Iterable<Session>): AttemptGroup[] {
  const groups = new Map<string, AttemptGroup>();
  for (const { id, spec } of sessions) {
    if (spec === undefined || spec.previousSessionId !== "" || spec.afterSessionId !== "") continue;
    const { uri = "", ref = "", snapshot } = spec.repository ?? {};
    const key = JSON.stringify([spec.task, snapshot?.untrackedCommitId ?? [uri, ref]]);
    const group = groups.get(key) ?? { task: spec.task, ids: [] };
    group.ids = [...group.ids, id].slice(-MAX_ATTEMPTS);
    groups.set(key, group);
  }
  const several = [...groups.values()].filter(({ ids }) => ids.length > 1);
  return several.sort((a, b) => (a.ids.at(-1)! < b.ids.at(-1)! ? 1 : -1)).slice(0, MAX_GROUPS);
}
