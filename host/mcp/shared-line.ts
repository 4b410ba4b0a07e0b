import type { Session } from "../../proto/index.ts";
import { oneLine } from "../present/plain-text.ts";
import { comeTo, shortId } from "../present/status-line.ts";

/** So much of the one line do the sessions of a call share; none gets less than the second (UTF-16 units). */
const SHARED_CHARS = 180;
const LEAST_CHARS = 24;

/** What one of the sessions that share a line says. */
export interface Said {
  session: Session;
  said: string;
  /** Whether nothing more is waited for. */
  ended: boolean;
}

/** Returns the line that sessions share, since clients show only the newest one of a call: how many are done, what the others do. */
export function sharedLine(all: readonly Said[]): string {
  if (all.length === 1) return part(all[0]!, Infinity);
  const live = all.filter(({ ended }) => !ended);
  const share = Math.max(LEAST_CHARS, Math.floor(SHARED_CHARS / live.length));
  return [`${all.length - live.length} of ${all.length} done`, ...live.map((each) => part(each, share))].join(" · ");
}

/** Which session it is, what it has come to, what it does. */
function part({ session, said }: Said, maxLength: number): string {
  return oneLine(`${[shortId(session.id), ...comeTo(session)].join(" ")}: ${said}`, maxLength);
}
