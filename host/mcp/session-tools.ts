import { randomUUID } from "node:crypto";
import type { McpServer } from "@modelcontextprotocol/server";
import type { ServerLog } from "./server-log.ts";
import * as z from "zod";
import { isFinal, Session_State } from "../../proto/index.ts";
import { sessionEntry } from "../present/session-entry.ts";
import { FINAL_STATES, LIVE_STATES } from "../session/states.ts";
import { awaitDecided } from "../session/await-session.ts";
import { resolveEach, resolveSession } from "../session/resolve-session.ts";
import type { Sessions } from "../session/sessions.ts";
import { projectOf } from "../source/project.ts";
import { followSessions } from "./follow-session.ts";
import { type ListedSession, listText } from "./sessions-text.ts";
import { sessionId, toolArguments } from "./tool-arguments.ts";
import type { Waits } from "./waits.ts";
import { answering, LOADED, sessionResult, textResult } from "./tool-result.ts";

const requestIdSchema = z.string().describe("request_id of the entry of waiting_for.");
/** A stopped session collects its changes; a caller gets them with the same call, if it is quick enough (ms). */
const STOP_PATIENCE_MS = 60_000;
const READ_ONLY = { readOnlyHint: true, openWorldHint: false };

/** Most sessions that one call waits for. */
const MAX_WAITED = 50;

const STATES = { live: LIVE_STATES, finished: FINAL_STATES, all: [] };

/** Options of the tools that come back to a session. */
export interface SessionToolsOptions {
  sessions: Sessions;
  logger: ServerLog;
  waits: Waits;
  /** Finds the parent's project. Undefined: it is in none, or elsewhere. */
  ownProject?: ((options: { signal: AbortSignal }) => Promise<string | undefined>) | undefined;
}

/** Adds the tools by which a parent comes back to its sessions. None is tied to the call that started a session. */
export function registerSessionTools(server: McpServer, { sessions, logger, waits, ownProject }: SessionToolsOptions) {
  const idOf = (given: string) => resolveSession(sessions, given);

  server.registerTool(
    "list_sessions",
    {
      title: "List sessions",
      description:
        "Lists the sessions, newest first, those of this project before others; also those of earlier calls and earlier runs of Claude Code.",
      inputSchema: toolArguments({
        state: z.enum(["live", "finished", "all"]).optional().describe("Which ones. Default: all."),
        limit: z.int().min(1).max(100).optional().describe("How many at most. Default: 20."),
        page_token: z.string().optional().describe("next_page_token of the answer before."),
      }),
      annotations: READ_ONLY,
    },
    ({ state = "all", limit = 20, page_token: pageToken }, { mcpReq: { signal } }) =>
      answering(logger, async () => {
        const request = { states: STATES[state], pageSize: limit, ...(pageToken !== undefined && { pageToken }) };
        const [page, own] = await Promise.all([sessions.list(request), ownProject?.({ signal })]);
        const entries = page.sessions.map((session): ListedSession => {
          const here = projectOf(session) === own;
          return { ...sessionEntry(session), ...(own !== undefined && { this_project: here }) };
        });
        const more = page.nextPageToken !== "" && { next_page_token: page.nextPageToken };
        return textResult(listText(entries, page.nextPageToken), { sessions: entries, ...more });
      }),
  );

  server.registerTool(
    "get_session",
    {
      title: "Look at a session",
      description:
        "Returns a session as it is now, without waiting: of a finished one its result and patch, of a live one its state, recent progress, and the answer and changes so far.",
      inputSchema: toolArguments({ session_id: sessionId }),
      annotations: READ_ONLY,
      _meta: LOADED,
    },
    (input) => answering(logger, async () => sessionResult(sessions, await idOf(input.session_id))),
  );

  server.registerTool(
    "wait_session",
    {
      title: "Wait for sessions",
      description:
        "Waits until a session, or any or all of several, has finished, is idle, or needs a decision, with progress meanwhile. Returns one as get_session does, several in short. Giving up the wait does not touch a session.",
      inputSchema: toolArguments(
        {
          session_id: sessionId.optional(),
          session_ids: z
            .array(z.string())
            .min(1)
            .max(MAX_WAITED)
            .optional()
            .describe("Several, in place of session_id."),
          until: z
            .enum(["any", "all"])
            .optional()
            .describe("Of several: answer with the first one, or with all. Default: all."),
          timeout_seconds: z
            .number()
            .min(0)
            .max(86_400)
            .optional()
            .describe("Answer with how it is after this long. Default: no limit."),
        },
        { exactlyOne: ["session_id", "session_ids"] },
      ),
      annotations: READ_ONLY,
      _meta: LOADED,
    },
    ({ session_id: one, session_ids: several, until, timeout_seconds: seconds }, context) =>
      answering(logger, async () => {
        const begin = async () => {
          const sessionIds = await resolveEach(sessions, several ?? [one!]);
          const endMs = seconds === undefined ? undefined : Date.now() + Math.round(seconds * 1000);
          const report = several === undefined ? ("session" as const) : ("several" as const);
          return { kind: "wait" as const, sessionIds, report, until, endMs };
        };
        return waits.answer({ server, context, begin });
      }),
  );

  server.registerTool(
    "send_message",
    {
      title: "Send a session a message",
      description:
        "Gives a live session's Claude another message: at once if it is idle, after the running turn otherwise, and waits for its answer. A session that is to take messages after its first turn needs idle_timeout_seconds when it is spawned.",
      inputSchema: toolArguments({
        session_id: sessionId,
        message: z.string().describe("What to say."),
        wait: z.boolean().optional().describe("false: answer as soon as the message is queued. Default: true."),
      }),
      annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: true },
      _meta: LOADED,
    },
    ({ session_id: given, message: text, wait = true }, context) =>
      answering(logger, async () => {
        const begin = async () => {
          const { id, lastSequence: afterSequence } = await sessions.get(await idOf(given));
          const message = { id: randomUUID(), afterSequence };
          await sessions.sendMessage(id, { text, messageId: message.id });
          return { kind: "message", sessionIds: [id], report: "session", message } as const;
        };
        return wait ? waits.answer({ server, context, begin }) : waits.result(await begin());
      }),
  );

  server.registerTool(
    "decide_permission",
    {
      title: "Decide on a permission",
      description:
        "Allows or denies what a waiting session's Claude wants to do (waiting_for of the session, kind permission), before its expire_time. Ask your user unless they have told you how to decide: the request was written in the container.",
      inputSchema: toolArguments({
        session_id: sessionId,
        request_id: requestIdSchema,
        allow: z.boolean(),
        message: z.string().optional().describe("What Claude is told of a denial."),
      }),
      annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: true },
      _meta: LOADED,
    },
    ({ session_id: given, request_id: requestId, allow, message = "" }, context) =>
      answering(logger, async () => {
        const id = await idOf(given);
        await sessions.decide(id, { requestId, allow, message });
        await awaitDecided(sessions, id, { requestId, signal: context.mcpReq.signal });
        return sessionResult(sessions, id);
      }),
  );

  server.registerTool(
    "answer_question",
    {
      title: "Answer a question",
      description:
        "Answers what a waiting session's Claude asks (waiting_for of the session, kind question), before its expire_time.",
      inputSchema: toolArguments({
        session_id: sessionId,
        request_id: requestIdSchema,
        answers: z
          .array(z.array(z.string()).min(1))
          .min(1)
          .describe("For each question, in order: labels of the chosen options, or words of your own."),
      }),
      annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: true },
      _meta: LOADED,
    },
    ({ session_id: given, request_id: requestId, answers }, context) =>
      answering(logger, async () => {
        const id = await idOf(given);
        await sessions.answer(id, { requestId, answers });
        await awaitDecided(sessions, id, { requestId, signal: context.mcpReq.signal });
        return sessionResult(sessions, id);
      }),
  );

  server.registerTool(
    "interrupt_session",
    {
      title: "Interrupt a session",
      description:
        "Ends the running turn of a session; an error if none is running. The session goes on with the next message, or ends if there is none and it has no idle time.",
      inputSchema: toolArguments({ session_id: sessionId }),
      annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: false },
    },
    (input) =>
      answering(logger, async () => {
        const id = await idOf(input.session_id);
        await sessions.interrupt(id);
        return sessionResult(sessions, id);
      }),
  );

  server.registerTool(
    "stop_session",
    {
      title: "Stop a session",
      description: "Ends a session; what it has changed is kept and returned, and its container is removed.",
      inputSchema: toolArguments({
        session_id: sessionId,
        reason: z.string().max(500).optional().describe("Why, for the record."),
      }),
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
      _meta: LOADED,
    },
    (input, context) =>
      answering(logger, async () => {
        const { session_id: given, reason = "The parent stopped it." } = input;
        const id = await idOf(given);
        await sessions.stop(id, { reason });
        const session = await sessions.get(id);
        // Idle and waiting sessions are on their way to an end now.
        const state = isFinal(session.state) ? session.state : Session_State.STOPPING;
        await followSessions(sessions, [{ ...session, state }], context, { timeoutMs: STOP_PATIENCE_MS });
        return sessionResult(sessions, id);
      }),
  );
}
