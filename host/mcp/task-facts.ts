import { timestampMs } from "@bufbuild/protobuf/wkt";
import { isFinal, type Session } from "../../proto/index.ts";
import { stateName } from "../present/session-summary.ts";
import type { Presence } from "./presence.ts";
import { sharedLine } from "./shared-line.ts";
import type { TaskFacts } from "./tasks.ts";
import { type Wait, waitId } from "./wait.ts";

/** A client that has not looked for so long is taken to be away (ms). */
const AWAY_MS = 30_000;

/** Returns what is always known of the task of a wait. */
export function taskFacts(wait: Wait, sessions: readonly Session[]): TaskFacts {
  const nowMs = Date.now();
  const begins = sessions.map(({ createTime }) => (createTime === undefined ? nowMs : timestampMs(createTime)));
  const ends = sessions.map(({ endTime }) => (endTime === undefined ? nowMs : timestampMs(endTime)));
  return { id: waitId(wait), createdMs: Math.min(...begins), updatedMs: Math.max(...ends) };
}

/** Returns the line on what sessions do, and keeps somebody there for them. */
export function taskLine(presence: Presence, sessions: readonly Session[]): string {
  const said = (session: Session) => {
    if (isFinal(session.state)) return stateName(session.state);
    const { lines } = presence.keep(session, AWAY_MS);
    const waiting = session.waitingReason;
    return waiting === "" ? (lines.at(-1) ?? stateName(session.state)) : `waiting: ${waiting}`;
  };
  return sharedLine(sessions.map((session) => ({ session, said: said(session), ended: isFinal(session.state) })));
}
