import { AppError, asAppError, cutChars } from "../../proto/index.ts";
import type { Sessions } from "./sessions.ts";

const WHOLE_ID = /^ses_[0-9A-HJKMNP-TV-Z]{26}$/;
/** Shorter ones are typing mistakes. */
const MIN_LENGTH = 4;

/**
 * Returns the id of the session that a start or end of an id means, of four characters or more. A whole id is not looked up.
 * Throws SESSION_NOT_FOUND, SESSION_AMBIGUOUS.
 */
export async function resolveSession(sessions: Sessions, given: string): Promise<string> {
  if (WHOLE_ID.test(given)) return given;
  const found: string[] = [];
  for await (const id of allIds(sessions)) if (isMeant(id, given)) found.push(id);
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    throw new AppError("SESSION_AMBIGUOUS", `"${cutChars(given, 40)}" may be any of ${found.slice(0, 5).join(", ")}.`, {
      help: "Give more of the id.",
    });
  }
  throw new AppError("SESSION_NOT_FOUND", `No session is called "${cutChars(given, 64)}".`, {
    help: `See claudecluster list. An id may be shortened to its start or end, ${MIN_LENGTH} characters or more.`,
    metadata: { session_id: cutChars(given, 64) },
  });
}

/** Returns the ids of the sessions that are meant, each once. Throws as resolveSession; if there are several, also for a whole id. */
export async function resolveEach(sessions: Sessions, given: readonly string[]): Promise<string[]> {
  try {
    const ids = [...new Set(await Promise.all(given.map((each) => resolveSession(sessions, each))))];
    if (ids.length > 1) await Promise.all(ids.map((id) => sessions.get(id)));
    return ids;
  } catch (error) {
    if (given.length < 2) throw error;
    const { reason, message, kind, help, metadata } = asAppError(error);
    throw new AppError(reason, `${message} Nothing was done to the others.`, { kind, help, metadata });
  }
}

/** Whether a session is meant: by its id, or by a start or end of it of four characters or more. */
export function isMeant(sessionId: string, given: string): boolean {
  const part = given.replace(/^…/, "").replace(/^ses_/i, "").toUpperCase();
  const own = sessionId.slice("ses_".length);
  return sessionId === given || (part.length >= MIN_LENGTH && (own.startsWith(part) || own.endsWith(part)));
}

async function* allIds(sessions: Sessions): AsyncGenerator<string> {
  let pageToken: string | undefined;
  do {
    const page = await sessions.list({ pageSize: 1000, ...(pageToken !== undefined && { pageToken }) });
    for (const { id } of page.sessions) yield id;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}
