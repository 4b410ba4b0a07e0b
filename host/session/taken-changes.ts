import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  AppError,
  cutText,
  hasUntakenChanges,
  isFinal,
  type Session,
  type TakenChanges,
  TakenChanges_Kind,
  TakenChangesSchema,
} from "../../proto/index.ts";

const MAX_PLACE_BYTES = 1024;

/**
 * Returns what is to be noted of a session's changes, which were taken somewhere or, with undefined, given back. What was
 * applied is not replaced by what was only saved. Throws SESSION_NOT_FINISHED.
 */
export function nextTaken(
  { id, state, taken: before }: Session,
  given: Pick<TakenChanges, "kind" | "place"> | undefined,
  { nowMs }: { nowMs: number },
): TakenChanges | undefined {
  if (!isFinal(state)) {
    throw new AppError("SESSION_NOT_FINISHED", `Session ${id} has not finished: its changes are not settled yet.`, {
      help: "Wait for it, or stop it.",
      metadata: { session_id: id },
    });
  }
  if (given === undefined) return undefined;
  const { kind } = given;
  if (kind === TakenChanges_Kind.SAVED && before !== undefined && before.kind !== TakenChanges_Kind.SAVED)
    return before;
  const place = cutText(given.place, MAX_PLACE_BYTES).text;
  return create(TakenChangesSchema, { kind, place, takeTime: timestampFromMs(nowMs) });
}

/** Throws SESSION_LIVE, or CHANGES_NOT_TAKEN, if a session is not to be removed. */
export function requireRemovable(session: Session, { discard }: { discard: boolean }): void {
  const { id, state, result } = session;
  if (!isFinal(state))
    throw new AppError("SESSION_LIVE", `Session ${id} has not finished.`, { help: "Stop it first." });
  if (discard || !hasUntakenChanges(session)) return;
  const count = result?.changeCount ?? 0;
  const files = count === 1 ? "one file" : `${count} files`;
  throw new AppError("CHANGES_NOT_TAKEN", `Session ${id} has changed ${files}, which nobody has applied or saved.`, {
    help: `Take them first (claudecluster apply ${id}), or discard them: claudecluster remove --discard ${id}.`,
    metadata: { session_id: id, change_count: String(count) },
  });
}
