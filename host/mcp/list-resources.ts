import type { Resource } from "@modelcontextprotocol/server";
import type { Session } from "../../proto/index.ts";
import { isFinal } from "../../proto/index.ts";
import { sessionEntry } from "../present/session-entry.ts";
import { answerUri, patchUri, sessionUri, transcriptUri } from "../present/session-resources.ts";
import { oneLine } from "../present/plain-text.ts";
import { shortId } from "../present/status-line.ts";
import type { Sessions } from "../session/sessions.ts";

/** Sessions of one page, each with up to four resources: clients such as Claude Code show the first page at once. */
const PAGE_SIZE = 25;
const TASK_LENGTH = 60;

/** Lists what can be read of the sessions, newest first, a page at a time. Throws PAGE_TOKEN_INVALID. */
export async function listResources(
  sessions: Pick<Sessions, "list">,
  cursor: string | undefined,
): Promise<{ resources: Resource[]; nextCursor?: string }> {
  const page = await sessions.list({ pageSize: PAGE_SIZE, ...(cursor !== undefined && { pageToken: cursor }) });
  const more = page.nextPageToken !== "" && { nextCursor: page.nextPageToken };
  return { resources: page.sessions.flatMap(resourcesOf), ...more };
}

function resourcesOf(session: Session): Resource[] {
  const { id, result, conversationId } = session;
  const { state, task, change_count: changeCount = 0 } = sessionEntry(session);
  const resource = (what: string, uri: string, mimeType = "text/plain"): Resource => ({
    uri,
    name: `${what} of ${shortId(id)}`,
    description: `${state}: ${oneLine(task, TASK_LENGTH)}`,
    mimeType,
  });
  const finished = isFinal(session.state);
  return [
    resource("session", sessionUri(id)),
    ...(result?.finalTextTurn ? [resource("answer", answerUri(id))] : []),
    ...(changeCount > 0 ? [resource("patch", patchUri(id), "text/x-diff")] : []),
    ...(finished && conversationId !== "" ? [resource("transcript", transcriptUri(id, 1), "application/jsonl")] : []),
  ];
}
