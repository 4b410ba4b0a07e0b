import { parseMarker, type Marker } from "./marker.ts";
import { blocksOf, textOf, type MessagesRequest, type RequestBlock } from "./messages-request.ts";

/** One tool call of the scripted model, and what came back for it. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly input: unknown;
  readonly result?: { readonly text: string; readonly isError: boolean };
}

/** A message that a person wrote, and what the model has answered since, up to the next such message. */
export interface Prompt {
  readonly messageIndex: number;
  readonly text: string;
  readonly marker: Marker | undefined;
  /** Assistant messages since. */
  readonly answers: number;
  readonly calls: readonly ToolCall[];
}

/** What Claude Code writes in the user's name. Nobody names a scenario in it, and it begins no turn. */
const SYNTHETIC =
  /^(<task-notification>|<local-command-|\[Request interrupted by user|Output token limit hit\. Resume|Your response above was )/;
/** Claude Code's note that an answer broke off: what it shows of the answer does not count, the model is to give it again. */
const CUT_OFF = /^(?:<system-reminder>\s*)?Your response above was cut off mid-stream/;
const REMINDER = /<system-reminder>[\s\S]*?<\/system-reminder>/g;
/** How Claude Code hands over a message that a person sent while a turn was running: as a system message. */
const SENT_MEANWHILE =
  /^(?:<system-reminder>\s*)?The user sent a new message while you were working:\s*([\s\S]*?)(?:\n\nThis is how Claude Code|<\/system-reminder>|$)/;

/** Splits the messages of a request at the messages that a person wrote. */
export function readPrompts(messages: MessagesRequest["messages"]): readonly Prompt[] {
  const prompts: { -readonly [Key in keyof Prompt]: Prompt[Key] }[] = [];
  for (const [messageIndex, { role, content }] of messages.entries()) {
    const blocks = blocksOf(content);
    const current = prompts.at(-1);
    if (role === "assistant") {
      if (current === undefined) continue;
      current.answers += 1;
      current.calls = [...current.calls, ...blocks.flatMap(toolCall)];
      continue;
    }
    if (current !== undefined) {
      current.calls = withResults(current.calls, blocks);
      if (blocks.some((block) => CUT_OFF.test(textOf(block)))) current.answers -= 1;
    }
    const texts = blocks.flatMap(role === "user" ? personText : meanwhileText);
    if (texts.length > 0)
      prompts.push({ messageIndex, text: texts.join("\n"), marker: lastMarker(texts), answers: 0, calls: [] });
  }
  return prompts;
}

function personText(block: RequestBlock): readonly string[] {
  if (block.type !== "text") return [];
  const written = textOf(block).replaceAll(REMINDER, "").trim();
  return written === "" || SYNTHETIC.test(written) ? meanwhileText(block) : [written];
}

function meanwhileText(block: RequestBlock): readonly string[] {
  const sent = SENT_MEANWHILE.exec(textOf(block))?.[1]?.trim() ?? "";
  return sent === "" ? [] : [sent];
}

/** Claude Code merges neighboring user messages (after a failed turn), so the last block with a marker is the newest. */
function lastMarker(texts: readonly string[]): Marker | undefined {
  for (const text of texts.toReversed()) {
    const marker = parseMarker(text);
    if (marker !== undefined) return marker;
  }
  return undefined;
}

function toolCall(block: RequestBlock): readonly ToolCall[] {
  if (block.type !== "tool_use") return [];
  return [{ id: String(block["id"]), name: String(block["name"]), input: block["input"] }];
}

function withResults(calls: readonly ToolCall[], blocks: readonly RequestBlock[]): readonly ToolCall[] {
  const results = new Map(
    blocks.filter((block) => block.type === "tool_result").map((block) => [block["tool_use_id"], block]),
  );
  return calls.map((call) => {
    const result = results.get(call.id);
    return result === undefined
      ? call
      : { ...call, result: { text: textOf(result["content"]), isError: result["is_error"] === true } };
  });
}

const WORKING_DIRECTORY = /Primary working directory: (.+)/;

/** The directory Claude Code works in, as its system text says; undefined when it does not. */
export function readWorkingDirectory(request: MessagesRequest): string | undefined {
  const texts = [
    textOf(request.system),
    ...request.messages.filter((message) => message.role !== "assistant").map(textOf),
  ];
  for (const text of texts) {
    const found = WORKING_DIRECTORY.exec(text)?.[1];
    if (found !== undefined) return found.trim();
  }
  return undefined;
}
