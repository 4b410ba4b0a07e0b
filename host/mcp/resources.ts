import { type McpServer, ResourceTemplate } from "@modelcontextprotocol/server";
import { asAppError, hasUntakenChanges, TakenChanges_Kind } from "../../proto/index.ts";
import { oneLine, plainText } from "../present/plain-text.ts";
import { readAnswer, readPatch } from "../present/read-session.ts";
import { answerUri, patchUri } from "../present/session-resources.ts";
import { CONTAINER_TEXT_NOTE } from "../present/session-summary.ts";
import { patchWarning } from "../present/withheld-patch.ts";
import { noteTaken } from "../results/note-taken.ts";
import type { Sessions } from "../session/sessions.ts";
import { patchContents } from "./patch-contents.ts";

/**
 * Adds the resources that are too large for a tool's result: each session's whole patch, and Claude's whole last
 * answer.
 */
export function registerResources(server: McpServer, sessions: Sessions): void {
  server.registerResource(
    "patch",
    new ResourceTemplate(patchUri("{session_id}"), { list: undefined }),
    {
      title: "A session's patch",
      description: `The unified diff of all changes of a session, as git apply takes it. ${CONTAINER_TEXT_NOTE}`,
      mimeType: "text/x-diff",
    },
    (uri, { session_id: id }) =>
      reading(async () => {
        const session = await sessions.get(String(id));
        const { result } = session;
        const patch = patchContents(uri.href, await readPatch(sessions, String(id)));
        if (hasUntakenChanges(session)) {
          await noteTaken(sessions, String(id), { kind: TakenChanges_Kind.SAVED, place: "whoever read it over MCP" });
        }
        const warning = patchWarning(result?.outcome);
        return warning === undefined ? [patch] : [{ uri: uri.href, mimeType: "text/plain", text: warning }, patch];
      }),
  );
  server.registerResource(
    "answer",
    new ResourceTemplate(answerUri("{session_id}"), { list: undefined }),
    {
      title: "A session's answer",
      description: `Claude's last answer in a session, whole. ${CONTAINER_TEXT_NOTE}`,
      mimeType: "text/plain",
    },
    (uri, { session_id: id }) =>
      reading(async () => {
        const { text } = await readAnswer(sessions, String(id));
        return [{ uri: uri.href, mimeType: "text/plain", text: plainText(text) }];
      }),
  );
}

/** Reads a resource; an error says what is wrong and what to do. */
async function reading<Contents>(read: () => Promise<Contents[]>): Promise<{ contents: Contents[] }> {
  try {
    return { contents: await read() };
  } catch (error) {
    throw new Error(oneLine(asAppError(error).toSentence()), { cause: error });
  }
}
