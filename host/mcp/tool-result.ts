import type { CallToolResult } from "@modelcontextprotocol/server";
import type { Logger } from "pino";
import { asAppError, isFinal, Session_State } from "../../proto/index.ts";
import { oneLine } from "../present/plain-text.ts";
import { readSummary } from "../present/read-session.ts";
import { patchUri } from "../present/session-summary.ts";
import type { Sessions } from "../session/sessions.ts";

/** Returns plain JSON as a tool's result. */
export function jsonResult(value: object): CallToolResult {
  return {
    structuredContent: { ...value },
    content: [{ type: "text", text: JSON.stringify(value, undefined, 2) }],
  };
}

/** Reads a session and returns it as a tool's result: an error if it has failed or was canceled. */
export async function sessionResult(sessions: Sessions, sessionId: string): Promise<CallToolResult> {
  const { session, summary, patch } = await readSummary(sessions, sessionId);
  const result = jsonResult(summary);
  if (patch.length > 0) result.content.push(patchLink(session.id));
  const failed = isFinal(session.state) && session.state !== Session_State.SUCCEEDED;
  return { ...result, ...(failed && { isError: true }) };
}

/** Runs a tool; an error becomes a result that says what is wrong and what to do. */
export async function answering(logger: Logger, run: () => Promise<CallToolResult>): Promise<CallToolResult> {
  try {
    return await run();
  } catch (error) {
    const known = asAppError(error);
    if (known.kind === "INTERNAL") logger.error({ err: error }, "tool failed");
    return { isError: true, content: [{ type: "text", text: oneLine(`${known.reason}: ${known.toSentence()}`) }] };
  }
}

function patchLink(id: string) {
  return { type: "resource_link" as const, uri: patchUri(id), name: `${id}.patch`, mimeType: "text/x-diff" };
}
