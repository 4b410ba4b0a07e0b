import { AppError } from "../../proto/index.ts";
import type { SessionStore } from "../store/session-store.ts";
import type { ListSessionsPage, ListSessionsRequest } from "./sessions.ts";

/** The id of the last session of a page. */
const PAGE_TOKEN = /^ses_[0-9A-HJKMNP-TV-Z]{26}$/;

/** Reads a page of sessions, newest first. Throws PAGE_SIZE_INVALID, PAGE_TOKEN_INVALID. */
export function listPage(
  store: Pick<SessionStore, "listSessions">,
  { states = [], parent, pageSize = 100, pageToken }: ListSessionsRequest,
): ListSessionsPage {
  if (!Number.isInteger(pageSize) || pageSize < 1 || pageSize > 1000) {
    throw new AppError("PAGE_SIZE_INVALID", "The page size must be 1 to 1000.");
  }
  if (pageToken !== undefined && !PAGE_TOKEN.test(pageToken)) {
    throw new AppError("PAGE_TOKEN_INVALID", "The page token is none that a list has given.", {
      help: "Begin without one, and go on with the token of the page before.",
    });
  }
  const sessions = store.listSessions({ states, parent, beforeId: pageToken, limit: pageSize + 1 });
  const more = sessions.length > pageSize;
  if (more) sessions.pop();
  return { sessions, nextPageToken: more ? sessions.at(-1)!.id : "" };
}
