import { timestampDate } from "@bufbuild/protobuf/wkt";
import { hasUntakenChanges, type Session, TakenChanges_Kind } from "../../proto/index.ts";
import { oneLine } from "./plain-text.ts";

/** What became of changes that nobody has taken. */
export const NOT_TAKEN = "not yet";

/** Returns what became of a finished session's changes: "not yet", or how they were taken, to where, and when. Undefined: it has none. */
export function takenText(session: Session): string | undefined {
  const { taken } = session;
  if (taken === undefined) return hasUntakenChanges(session) ? NOT_TAKEN : undefined;
  const when = taken.takeTime === undefined ? "" : `, ${timestampDate(taken.takeTime).toISOString()}`;
  return `${HOW[taken.kind]} ${oneLine(taken.place, 400)}`.trimEnd() + when;
}

/** Returns the same in a word, for a list. Empty: there are no changes. */
export function takenWord(session: Session): string {
  if (session.taken !== undefined) return WORD[session.taken.kind];
  return hasUntakenChanges(session) ? "no" : "";
}

const HOW: Record<TakenChanges_Kind, string> = {
  [TakenChanges_Kind.UNSPECIFIED]: "taken to",
  [TakenChanges_Kind.BRANCH]: "as branch",
  [TakenChanges_Kind.WORK_TREE]: "into the files of",
  [TakenChanges_Kind.SAVED]: "saved to",
};
const WORD: Record<TakenChanges_Kind, string> = {
  [TakenChanges_Kind.UNSPECIFIED]: "yes",
  [TakenChanges_Kind.BRANCH]: "branch",
  [TakenChanges_Kind.WORK_TREE]: "files",
  [TakenChanges_Kind.SAVED]: "saved",
};
