import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  AssistantTextSchema,
  AssistantThinkingSchema,
  BackgroundTasksChangedSchema,
  ClaudeNoticeSchema,
  ClaudeReadySchema,
  cutText,
  type EventBody,
  RetryingSchema,
  ToolUseFinishedSchema,
  ToolUseStartedSchema,
  UnrecognizedLineSchema,
} from "../../proto/index.ts";
import { type ClaudeResult, readResult } from "./claude-result.ts";
import { countOf, type JsonObject, listOf, objectOf, textOf } from "./json.ts";
import { shortenJson } from "./shorten.ts";
import type { StepLine } from "./turn-answer.ts";
import { isRefusedCredential } from "./turn-failure.ts";

/** Meaning of a line of output for the conversation itself. */
export type Notice =
  /** Claude works: a turn has begun or goes on. */
  | { kind: "activity"; step?: StepLine }
  /** Claude Code tells Claude to go on: after a step that was cut, or that said nothing. */
  | { kind: "goOn" }
  /** The model's provider has stopped what Claude said last. */
  | { kind: "refused" }
  /** Claude Code gives up a turn, and this kind of error is why: perhaps that the provider has stopped Claude. */
  | { kind: "error"; error: string; refused: boolean }
  | { kind: "controlResponse"; requestId: string; error: string | undefined }
  | { kind: "controlRequest"; requestId: string; subtype: string }
  | { kind: "permissionRequest"; request: PermissionRequest }
  /** Claude does not wait for the answer any more. */
  | { kind: "requestCanceled"; requestId: string }
  | { kind: "backgroundTasks"; ids: readonly string[] }
  | { kind: "retry"; httpStatus: number; reason: string }
  | { kind: "result"; result: ClaudeResult };

/** Request of Claude's to use a tool. It waits until it is told whether it may. */
export interface PermissionRequest {
  readonly requestId: string;
  readonly toolUseId: string;
  readonly toolName: string;
  /** Purpose of the use, in Claude's words. */
  readonly description: string;
  readonly input: JsonObject;
  /** What Claude Code proposes to change so that it need not ask again. */
  readonly suggestions: readonly JsonObject[];
}

/** Events that a line of output amounts to, and its meaning for the conversation. */
export interface ParsedLine {
  readonly events: readonly EventBody[];
  readonly notice?: Notice;
}

/** No event is above 64 KiB; these leave room for the rest of it. */
const TEXT_BYTES = 48 * 1024;
const JSON_BYTES = 32 * 1024;
const LINE_BYTES = 32 * 1024;
const NOTICE_BYTES = 4 * 1024;
const NAME_BYTES = 256;
const MAX_ID_LENGTH = 128;
const MAX_LIST_LENGTH = 200;

const SILENT: ParsedLine = { events: [] };

/** Returns what a line of Claude's output means. A line that is not known is kept as it is; none is an error. */
export function parseLine(bytes: Buffer): ParsedLine {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString("utf8"));
  } catch {
    return unrecognized(bytes);
  }
  const line = objectOf(parsed);
  switch (line["type"]) {
    case "system":
      return parseSystem(line) ?? unrecognized(bytes);
    case "assistant":
      return parseAssistant(line) ?? { ...unrecognized(bytes), notice: { kind: "activity" } };
    case "user":
      return parseUser(line) ?? unrecognized(bytes);
    case "result":
      return { events: [], notice: { kind: "result", result: readResult(line) } };
    case "control_response":
      return parseControlResponse(objectOf(line["response"]));
    case "control_request":
      return { events: [], notice: controlRequest(line) };
    case "control_cancel_request":
      return { events: [], notice: { kind: "requestCanceled", requestId: textOf(line["request_id"]) } };
    // Nothing but signs of life, and echoes of what was sent.
    case "tool_progress":
    case "keep_alive":
    case "command_lifecycle":
      return SILENT;
    default:
      return unrecognized(bytes);
  }
}

/** Returns the event for a line that is not known. */
export function unrecognized(bytes: Buffer): ParsedLine {
  const value = create(UnrecognizedLineSchema, {
    // A copy: the log keeps events, and a part of a chunk would keep the whole chunk.
    line: new Uint8Array(bytes.subarray(0, LINE_BYTES)),
    truncated: bytes.length > LINE_BYTES,
    sizeBytes: BigInt(bytes.length),
  });
  return { events: [{ case: "unrecognizedLine", value }] };
}

function parseSystem(line: JsonObject): ParsedLine | undefined {
  switch (line["subtype"]) {
    case "init":
      return { events: [claudeReady(line)], notice: { kind: "activity" } };
    case "api_retry":
      return parseRetry(line);
    case "status":
      // It has the permission mode that it was told to have.
      return line["status"] === null ? SILENT : undefined;
    case "background_tasks_changed":
      return parseBackgroundTasks(line);
    case "informational":
      return { events: [claudeNotice(line["content"])] };
    case "task_notification":
      // Of a command that was waited for only its description comes, and no file with its output.
      return textOf(line["output_file"]) === "" ? SILENT : { events: [claudeNotice(line["summary"])] };
    // What is told of these tasks otherwise: their list when it changes, their tools, their ends.
    case "task_started":
    case "task_progress":
    case "task_updated":
    // The error that follows says it.
    case "model_refusal_no_fallback":
    // A guess at the size of the thinking, many times a second.
    case "thinking_tokens":
    // For an interface that there is none of.
    case "ui_invalidate":
      return SILENT;
    default:
      return undefined;
  }
}

function claudeReady(line: JsonObject): EventBody {
  const value = create(ClaudeReadySchema, {
    conversationId: name(line["session_id"]),
    model: name(line["model"]),
    permissionMode: name(line["permissionMode"]),
    claudeVersion: name(line["claude_code_version"]),
    tools: listOf(line["tools"]).slice(0, MAX_LIST_LENGTH).map(name),
  });
  return { case: "claudeReady", value };
}

function parseRetry(line: JsonObject): ParsedLine {
  const httpStatus = countOf(line["error_status"]);
  const reason = name(line["error"]);
  const value = create(RetryingSchema, {
    attempt: countOf(line["attempt"]),
    maxAttemptCount: countOf(line["max_retries"]),
    delay: durationFromMs(countOf(line["retry_delay_ms"])),
    httpStatus,
    reason,
  });
  // The session ends with a refused credential, whatever Claude Code means to do.
  const tried = !isRefusedCredential(httpStatus);
  return { events: tried ? [{ case: "retrying", value }] : [], notice: { kind: "retry", httpStatus, reason } };
}

function parseBackgroundTasks(line: JsonObject): ParsedLine {
  const tasks = listOf(line["tasks"]).map(objectOf);
  const descriptions = tasks.slice(0, MAX_LIST_LENGTH).map((task) => name(task["description"]));
  const ids = tasks.map((task) => textOf(task["task_id"]));
  const value = create(BackgroundTasksChangedSchema, { descriptions });
  return { events: [{ case: "backgroundTasksChanged", value }], notice: { kind: "backgroundTasks", ids } };
}

function claudeNotice(text: unknown, { saidToClaude = false }: { saidToClaude?: boolean } = {}): EventBody {
  const value = create(ClaudeNoticeSchema, { text: cutText(textOf(text), NOTICE_BYTES).text, saidToClaude });
  return { case: "claudeNotice", value };
}

function parseAssistant(line: JsonObject): ParsedLine | undefined {
  const message = objectOf(line["message"]);
  const blocks = listOf(message["content"]).map(objectOf);
  const error = textOf(line["error"]);
  // Claude Code's own words in Claude's place.
  if (error !== "") {
    const events = blocks.map(({ text }) => claudeNotice(text));
    return { events, notice: { kind: "error", error: name(error), refused: isRefused(line) } };
  }
  const parentToolUseId = name(line["parent_tool_use_id"]);
  const events: EventBody[] = [];
  const said: string[] = [];
  for (const block of blocks) {
    if (block["type"] === "text") {
      const { text, truncated, sizeBytes } = cutText(textOf(block["text"]), TEXT_BYTES);
      const fields = { text, truncated, sizeBytes: BigInt(sizeBytes), parentToolUseId };
      events.push({ case: "assistantText", value: create(AssistantTextSchema, fields) });
      said.push(textOf(block["text"]));
    } else if (block["type"] === "thinking" || block["type"] === "redacted_thinking") {
      const { text, truncated, sizeBytes } = cutText(textOf(block["thinking"]), TEXT_BYTES);
      const fields = { text, truncated, sizeBytes: BigInt(sizeBytes), parentToolUseId };
      events.push({ case: "assistantThinking", value: create(AssistantThinkingSchema, fields) });
    } else if (block["type"] === "tool_use") {
      const { text: inputJson, truncated, sizeBytes } = shortenJson(block["input"], JSON_BYTES);
      const fields = { toolUseId: name(block["id"]), name: name(block["name"]), inputJson, truncated };
      const value = create(ToolUseStartedSchema, { ...fields, sizeBytes: BigInt(sizeBytes), parentToolUseId });
      events.push({ case: "toolUseStarted", value });
    } else {
      return undefined;
    }
  }
  if (events.length === 0) return undefined;
  if (parentToolUseId !== "") return { events, notice: { kind: "activity" } };
  const usesTool = events.some((event) => event.case === "toolUseStarted");
  const step = { messageId: name(message["id"]), text: said.join("\n\n"), usesTool };
  return { events, notice: { kind: "activity", step } };
}

function parseUser(line: JsonObject): ParsedLine | undefined {
  const content = objectOf(line["message"])["content"];
  if (line["isSynthetic"] === true) return parsePrompt(line, content);
  const events: EventBody[] = [];
  for (const block of listOf(content).map(objectOf)) {
    if (block["type"] === "text" && textOf(block["text"]).startsWith("[Request interrupted by user")) return SILENT;
    if (block["type"] !== "tool_result") return undefined;
    const { text: output, truncated, sizeBytes } = cutText(resultText(block["content"]), TEXT_BYTES);
    const fields = { toolUseId: name(block["tool_use_id"]), failed: block["is_error"] === true, output, truncated };
    const value = create(ToolUseFinishedSchema, { ...fields, sizeBytes: BigInt(sizeBytes) });
    events.push({ case: "toolUseFinished", value });
  }
  return events.length === 0 ? undefined : { events };
}

/** Claude Code speaks in the user's place. */
function parsePrompt(line: JsonObject, content: unknown): ParsedLine | undefined {
  const blocks = typeof content === "string" ? [{ type: "text", text: content }] : listOf(content).map(objectOf);
  if (blocks.length === 0 || blocks.some(({ type }) => type !== "text")) return undefined;
  const events = blocks.map(({ text }) => claudeNotice(text, { saidToClaude: true }));
  if (textOf(line["parent_tool_use_id"]) !== "") return { events };
  return { events, notice: { kind: isRefused(line) ? "refused" : "goOn" } };
}

function isRefused(line: JsonObject): boolean {
  return textOf(line["refused_message_id"]) !== "";
}

/** What the model was told: text, and a word for what is none. */
function resultText(content: unknown): string {
  if (typeof content === "string") return content;
  const parts = listOf(content).map(objectOf);
  return parts.map((part) => (part["type"] === "text" ? textOf(part["text"]) : `[${textOf(part["type"])}]`)).join("\n");
}

function parseControlResponse(response: JsonObject): ParsedLine {
  const failed = response["subtype"] !== "success";
  const error = failed ? textOf(response["error"]) || "unknown error" : undefined;
  return { events: [], notice: { kind: "controlResponse", requestId: textOf(response["request_id"]), error } };
}

function controlRequest(line: JsonObject): Notice {
  const request = objectOf(line["request"]);
  const requestId = textOf(line["request_id"]);
  const subtype = textOf(request["subtype"]);
  // A longer id could not be told whole.
  if (subtype !== "can_use_tool" || requestId.length > MAX_ID_LENGTH)
    return { kind: "controlRequest", requestId, subtype };
  const permission = {
    requestId,
    toolUseId: name(request["tool_use_id"]),
    toolName: name(request["tool_name"]),
    description: textOf(request["description"]),
    input: objectOf(request["input"]),
    suggestions: listOf(request["permission_suggestions"]).map(objectOf),
  };
  return { kind: "permissionRequest", request: permission };
}

function name(value: unknown): string {
  return cutText(textOf(value), NAME_BYTES).text;
}
