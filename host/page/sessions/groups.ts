import { timestampMs } from "@bufbuild/protobuf/wkt";
import { hasUntakenChanges, type Session, Session_State } from "../../../proto/index.ts";
import { repositoryName } from "../../present/sent-text.ts";

/** Groups of sessions, as people think of them, in the order in which they are shown. */
export const GROUPS = {
  attention: "Needs you",
  working: "Working",
  queued: "In the queue",
  unapplied: "Finished, not applied yet",
  failed: "Failed",
  finished: "Finished",
} as const;

/** Name of a group. */
export type Group = keyof typeof GROUPS;

/** Which sessions are shown. Empty: all of them. */
export interface SessionFilter {
  group: Group | "";
  repository: string;
  search: string;
}

/** A line of the list: the heading of a group, or a session of it. */
export type ListRow = { group: Group; count: number } | { session: Session };

/** Returns the group of a session. */
export function groupOf(session: Session): Group {
  switch (session.state) {
    case Session_State.WAITING:
    case Session_State.IDLE:
      return "attention";
    case Session_State.QUEUED:
      return session.waitingReason === "" ? "queued" : "attention";
    case Session_State.FAILED:
      return "failed";
    case Session_State.SUCCEEDED:
    case Session_State.CANCELED:
      return hasUntakenChanges(session) ? "unapplied" : "finished";
    default:
      return session.waitingReason === "" ? "working" : "attention";
  }
}

/** Returns how many sessions there are of each group. */
export function countGroups(sessions: Iterable<Session>): Record<Group, number> {
  const counts = { attention: 0, working: 0, queued: 0, unapplied: 0, failed: 0, finished: 0 };
  for (const session of sessions) counts[groupOf(session)] += 1;
  return counts;
}

/** Returns the names of the sessions' repositories, each once, in order. */
export function repositoriesOf(sessions: Iterable<Session>): string[] {
  return [...new Set([...sessions].map(({ spec }) => repositoryName(spec?.repository)))].sort();
}

/** Returns the lines of the list: each group that has a session with its heading, and the ones that matter most first. */
export function listRows(sessions: Iterable<Session>, filter: SessionFilter): ListRow[] {
  const members = Object.fromEntries(Object.keys(GROUPS).map((group) => [group, [] as Session[]])) as Record<
    Group,
    Session[]
  >;
  const words = filter.search.toLowerCase().split(/\s+/).filter(Boolean);
  for (const session of sessions) {
    const group = groupOf(session);
    if (filter.group !== "" && filter.group !== group) continue;
    if (filter.repository !== "" && filter.repository !== repositoryName(session.spec?.repository)) continue;
    if (matches(session, words)) members[group].push(session);
  }
  return (Object.keys(GROUPS) as Group[]).flatMap((group): ListRow[] => {
    const found = members[group];
    if (found.length === 0) return [];
    found.sort(ORDERS[group] ?? newestFirst);
    return [{ group, count: found.length }, ...found.map((session) => ({ session }))];
  });
}

function matches({ id, spec, caller, parent }: Session, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const text = [id, spec?.task, repositoryName(spec?.repository), caller, parent].join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

/** Ids begin with their time. */
const newestFirst = (one: Session, other: Session) => (one.id < other.id ? 1 : -1);
const lastEndedFirst = (one: Session, other: Session) => endMs(other) - endMs(one) || newestFirst(one, other);

const ORDERS: Partial<Record<Group, (one: Session, other: Session) => number>> = {
  // Who has waited longest.
  attention: (one, other) => newestFirst(other, one),
  queued: (one, other) => (one.live?.queuePosition ?? 0) - (other.live?.queuePosition ?? 0) || newestFirst(other, one),
  unapplied: lastEndedFirst,
  failed: lastEndedFirst,
  finished: lastEndedFirst,
};

function endMs({ endTime }: Session): number {
  return endTime === undefined ? 0 : timestampMs(endTime);
}
