import type { CallToolResult } from "@modelcontextprotocol/server";
import type { ServerLog } from "./server-log.ts";
import { asAppError, cutChars, isFinal, Session_State } from "../../proto/index.ts";
import { attemptsText, compareAttempts } from "../present/attempts-text.ts";
import { oneLine } from "../present/plain-text.ts";
import { readSummary } from "../present/read-session.ts";
import type { Sessions } from "../session/sessions.ts";
import { errorText } from "./next-call.ts";
import { sessionText } from "./session-text.ts";
import { type NotStarted, severalText } from "./sessions-text.ts";

/**
 * Name in a result's `_meta` of the same answer as plain JSON, for programs. It is no structuredContent: where there is one,
 * Claude Code gives the model that as a line of JSON, a patch escaped, and drops the text.
 */
export const DATA = "claudecluster/data";

/** A tool's `_meta` where it is needed in a hurry: Claude Code otherwise names it only, for a search that takes a turn. */
export const LOADED = { "anthropic/alwaysLoad": true };

/** Longest text of a result: what is longer Claude Code takes out of the conversation, whole (UTF-16 units). */
const MAX_CHARS = 48_000;
const CUT = "\n[cut here: read_changes shows files and diffs page by page, get_session one session]";

/** Returns a text for the model as the result of a tool, with the same as plain JSON for programs. What is too long is cut, and says so. */
export function textResult(text: string, value: object): CallToolResult {
  const shown = text.length <= MAX_CHARS ? text : cutChars(text, MAX_CHARS - CUT.length) + CUT;
  return { content: [{ type: "text", text: shown }], _meta: { [DATA]: { ...value } } };
}

/** Returns a session as the result of a tool. It is an error if the session failed or was canceled. */
export async function sessionResult(sessions: Sessions, sessionId: string): Promise<CallToolResult> {
  const { session, summary } = await readSummary(sessions, sessionId);
  const result = textResult(sessionText(summary), summary);
  const { answer_uri: answerUri, patch_uri: patchUri } = summary;
  if (answerUri !== undefined) result.content.push(linkTo(answerUri, `${session.id}.answer`, "text/plain"));
  if (summary.patch_size_bytes > 0) result.content.push(linkTo(patchUri, `${session.id}.patch`, "text/x-diff"));
  const failed = isFinal(session.state) && session.state !== Session_State.SUCCEEDED;
  return { ...result, ...(failed && { isError: true }) };
}

/**
 * Returns several sessions as the result of a tool: each in short, with the tasks that none could be made of. It is an error if
 * none of them has come to anything, nor may come to.
 */
export async function severalResult(
  sessions: Sessions,
  ids: readonly string[],
  notStarted: readonly NotStarted[] = [],
): Promise<CallToolResult> {
  const read = await Promise.all(ids.map((id) => readSummary(sessions, id)));
  // Each patch is for get_session: together they are too much.
  const summaries = read.map(({ summary: { patch: _patch, ...summary } }) => summary);
  const value = { sessions: summaries, ...(notStarted.length > 0 && { not_started: notStarted }) };
  const hopeless = read.every(({ session }) => isFinal(session.state) && session.state !== Session_State.SUCCEEDED);
  return { ...textResult(severalText(summaries, notStarted), value), ...(hopeless && { isError: true }) };
}

/** Returns attempts at one task as the result of a tool: how they compare, and what is to be done about those that go on. */
export async function attemptsResult(sessions: Sessions, ids: readonly string[]): Promise<CallToolResult> {
  const read = await Promise.all(ids.map((id) => readSummary(sessions, id)));
  const report = compareAttempts(read.map(({ summary }) => summary));
  const live = read.flatMap(({ session }) => (isFinal(session.state) ? [] : [session.id]));
  const rest = live.length === 0 ? "" : `\nwait_session waits for ${live.join(", ")}.`;
  const text = `${attemptsText(report)}get_session shows each with its patch; apply_changes takes one.${rest}`;
  return textResult(text, report);
}

/** Runs a tool. An error becomes a result that says what is wrong and what to do. */
export async function answering<Result>(
  logger: ServerLog,
  run: () => Promise<Result>,
): Promise<Result | CallToolResult> {
  try {
    return await run();
  } catch (error) {
    const known = asAppError(error);
    if (known.kind === "INTERNAL") logger.error({ err: error }, "tool failed");
    return { isError: true, content: [{ type: "text", text: oneLine(errorText(known)) }] };
  }
}

function linkTo(uri: string, name: string, mimeType: string) {
  return { type: "resource_link" as const, uri, name, mimeType };
}
