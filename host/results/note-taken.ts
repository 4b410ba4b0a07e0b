import { asAppError, type TakenChanges } from "../../proto/index.ts";
import type { Sessions } from "../session/sessions.ts";

/**
 * Notes with the host where a session's changes were taken to; undefined: they were given back. Returns a sentence where that
 * failed: what was done is done all the same. A session that is gone needs no note.
 */
export async function noteTaken(
  sessions: Sessions,
  sessionId: string,
  taken: Pick<TakenChanges, "kind" | "place"> | undefined,
): Promise<string | undefined> {
  try {
    await sessions.markTaken(sessionId, taken);
    return undefined;
  } catch (error) {
    const known = asAppError(error);
    return known.kind === "NOT_FOUND" ? undefined : `The host could not note that: ${known.message}`;
  }
}
