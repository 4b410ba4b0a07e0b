import { type McpServer, ResourceTemplate } from "@modelcontextprotocol/server";
import { asAppError, hasUntakenChanges, TakenChanges_Kind } from "../../proto/index.ts";
import { oneLine, plainText } from "../present/plain-text.ts";
import { readAnswer, readPatch, readSummary } from "../present/read-session.ts";
import {
  answerUri,
  filePart,
  patchUri,
  readFilePath,
  sessionUri,
  transcriptUri,
} from "../present/session-resources.ts";
import { CONTAINER_TEXT_NOTE } from "../present/session-summary.ts";
import { patchWarning } from "../present/withheld-patch.ts";
import { noteTaken } from "../results/note-taken.ts";
import type { Sessions } from "../session/sessions.ts";
import { type CompletionContext, completePath, completeSession } from "./complete-session.ts";
import { listResources } from "./list-resources.ts";
import { fileContents, patchContents } from "./patch-contents.ts";
import { sessionText } from "./session-text.ts";
import { readTranscriptPage } from "./transcript-page.ts";
import type { ResourceUpdates } from "./resource-updates.ts";

/** Reads a file of a session, as readSessionFile does. */
export type ReadFile = (sessionId: string, path: string, options: { signal: AbortSignal }) => Promise<Buffer>;

/**
 * Adds what can be read of sessions: each as it is now, and what is too large for a tool's result: its whole patch, Claude's
 * whole last answer, its transcript by pages, its files. All but the files are listed; ids of sessions, and the paths of files that
 * they have changed, are completed.
 */
export function registerResources(server: McpServer, sessions: Sessions, readFile: ReadFile): void {
  const complete = {
    session_id: (written: string) => completeSession(sessions, written),
    page: () => ["1"],
    path: (written: string, context?: CompletionContext) => completePath(sessions, written, context),
  };
  const template = (uri: string) => new ResourceTemplate(uri, { list: undefined, complete });
  server.registerResource(
    "session",
    template(sessionUri("{session_id}")),
    {
      title: "A session",
      description: `A session as it is now, as get_session shows it. ${CONTAINER_TEXT_NOTE}`,
      mimeType: "text/plain",
    },
    (uri, { session_id: id }) =>
      reading(async () => {
        const { summary } = await readSummary(sessions, String(id));
        return [{ uri: uri.href, mimeType: "text/plain", text: sessionText(summary) }];
      }),
  );
  server.registerResource(
    "patch",
    template(patchUri("{session_id}")),
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
    template(answerUri("{session_id}")),
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
  server.registerResource(
    "transcript",
    template(transcriptUri("{session_id}", "{page}")),
    {
      title: "A session's transcript",
      description: `The conversation of a finished session as Claude Code keeps it, lines of JSON, by pages from 1. ${CONTAINER_TEXT_NOTE}`,
      mimeType: "application/jsonl",
    },
    (uri, { session_id: id, page: given }) =>
      reading(async () => {
        const page = Number(given);
        const { text, more } = await readTranscriptPage(sessions, String(id), page);
        const next = {
          uri: uri.href,
          mimeType: "text/plain",
          text: `It goes on: ${transcriptUri(String(id), page + 1)}`,
        };
        return [{ uri: uri.href, mimeType: "application/jsonl", text }, ...(more ? [next] : [])];
      }),
  );
  server.registerResource(
    "file",
    template(`${sessionUri("{session_id}")}/${filePart("{+path}")}`),
    {
      title: "A file of a session",
      description: `A file as a session has it at its newest, also of a live one. ${CONTAINER_TEXT_NOTE}`,
    },
    (uri, { session_id: id, path }, { mcpReq: { signal } }) =>
      reading(async () => {
        const name = readFilePath(filePart(String(path)))!;
        return [fileContents(uri.href, await readFile(String(id), name, { signal }))];
      }),
  );
  // In place of the SDK's own, which knows no pages.
  server.server.setRequestHandler("resources/list", ({ params }) => listResources(sessions, params?.cursor));
}

/** Lets a client of the protocol of 2025 subscribe to resources, whose changes it is told of then. */
export function registerSubscriptions({ server }: McpServer, updates: ResourceUpdates): void {
  server.registerCapabilities({ resources: { subscribe: true } });
  server.setRequestHandler("resources/subscribe", async ({ params: { uri } }) => {
    await updates.begin(uri, [uri]);
    return {};
  });
  server.setRequestHandler("resources/unsubscribe", ({ params: { uri } }) => {
    updates.end(uri);
    return {};
  });
}

/** Reads a resource; an error says what is wrong and what to do. */
async function reading<Contents>(read: () => Promise<Contents[]>): Promise<{ contents: Contents[] }> {
  try {
    return { contents: await read() };
  } catch (error) {
    throw new Error(oneLine(asAppError(error).toSentence()), { cause: error });
  }
}
