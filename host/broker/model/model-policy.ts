import { cutChars } from "../../../proto/cut.ts";
import { isMembers, type Members } from "../json.ts";

// What a request to the model may ask for, as data. The API can fetch, run and connect by itself: such a request would
// walk around the list of allowed hosts. https://platform.claude.com/docs/en/api/messages

/** Members of the body that are passed on; the others are left out, whatever they are. */
const MEMBERS = new Set([
  "context_management",
  "max_tokens",
  "messages",
  "metadata",
  "model",
  "output_config",
  "output_format",
  "stop_sequences",
  "stream",
  "system",
  "temperature",
  "thinking",
  "tool_choice",
  "tools",
  "top_k",
  "top_p",
]);

/** Members for which leaving out is not enough: whoever asks for them is to know. */
const REFUSED_MEMBERS = new Set(["container", "mcp_servers"]);

/** Tools without a type are Claude's own. Of those that the API knows these run where Claude runs, or only choose tools. */
const TOOL_TYPE = /^(?:custom|(?:bash|text_editor|computer|memory)_\d{8}|tool_search_tool_(?:regex|bm25)(?:_\d{8})?)$/;

/** Of the tools that the API runs by itself: the one that only chooses tools. */
const SERVER_TOOL_NAME = /^tool_search_tool_(?:regex|bm25)$/;

/**
 * Blocks of a message that hold all that they say, or come from Claude and say what was done. Others name what lies
 * with the API, or belong to tools that it runs.
 */
const BLOCK_TYPES = new Set<unknown>([
  "compaction",
  "connector_text",
  "document",
  "fallback",
  "image",
  "mid_conv_system",
  "redacted_thinking",
  "search_result",
  "server_tool_use",
  "text",
  "thinking",
  "tool_addition",
  "tool_reference",
  "tool_removal",
  "tool_result",
  "tool_search_tool_result",
  "tool_search_tool_result_error",
  "tool_search_tool_search_result",
  "tool_use",
]);

/** Sources that are in the request itself. The API would fetch others. */
const SOURCE_TYPES = new Set<unknown>(["base64", "text", "content"]);

/** Those whose source is a text that says where something is from. */
const NAMED_SOURCES = new Set<unknown>(["search_result", "search_result_location"]);

/** Texts of Claude and its tools, whatever they look like: what a tool was called with, and what it takes. */
const FREE_MEMBERS = new Set(["input", "input_schema"]);

/** Most tokens of an answer (max_tokens) unless the user sets it. No model of today answers with more. */
export const DEFAULT_MAX_OUTPUT_TOKENS = 256_000;

/** Deeper than any message; a body may not exhaust the stack. */
const MAX_DEPTH = 64;

/** Rules of the user for requests to the model. */
export interface ModelPolicy {
  /** Names of models, or beginnings of names with "*" behind. Undefined: every model. */
  allowedModels: readonly string[] | undefined;
  /** Betas beside those that are always passed on, with or without a date. */
  allowedBetas: readonly string[];
  /** Most tokens that an answer may be asked for (max_tokens). */
  maxOutputTokens: number;
}

/** Returns what is passed on of a request's body, or why it is refused. */
export function checkModelRequest(
  body: unknown,
  { allowedModels, maxOutputTokens }: ModelPolicy,
): { body: Members } | { refused: string } {
  if (!isMembers(body)) return { refused: "the body is not a JSON object" };
  if (allowedModels?.some((allowed) => matches(body["model"], allowed)) === false) {
    const asked = cutChars(JSON.stringify(body["model"] ?? ""), 60);
    return { refused: `the model ${asked} is not in allowed_models (${cutChars(allowedModels.join(", "), 300)})` };
  }
  const given = Object.keys(body).find((name) => REFUSED_MEMBERS.has(name));
  if (given !== undefined) return { refused: `${given} is not allowed` };
  const { max_tokens: maxTokens } = body;
  if (typeof maxTokens === "number" && maxTokens > maxOutputTokens) {
    return { refused: `max_tokens is above ${maxOutputTokens}` };
  }
  const tool = refusedTool(body["tools"]);
  if (tool !== undefined) return { refused: outside(tool) };
  const block = refusedBlock(body["system"]) ?? refusedContent([body["messages"], body["system"]], 0);
  if (block !== undefined) return { refused: block };
  return { body: Object.fromEntries(Object.entries(body).filter(([name]) => MEMBERS.has(name))) };
}

function matches(model: unknown, allowed: string): boolean {
  if (typeof model !== "string") return false;
  return allowed.endsWith("*") ? model.startsWith(allowed.slice(0, -1)) : model === allowed;
}

function refusedTool(tools: unknown): string | undefined {
  if (tools === undefined || tools === null) return undefined;
  if (!Array.isArray(tools)) return "of an unknown kind";
  for (const tool of tools as unknown[]) {
    if (!isMembers(tool)) return "of an unknown kind";
    const { type } = tool;
    if (type === undefined || type === null) continue;
    if (typeof type !== "string" || !TOOL_TYPE.test(type)) {
      return cutChars(JSON.stringify(type), 60);
    }
  }
  return undefined;
}

/** A tool that is added in a message: one of the body's by its name, or a new one. */
function refusedAddition(tool: unknown): string | undefined {
  if (isMembers(tool) && tool["type"] === "tool_reference") return undefined;
  return refusedTool([isMembers(tool) && tool["type"] === "tool_definition" ? tool["definition"] : undefined]);
}

function outside(tool: string): string {
  return `the tool ${tool} runs outside of the container`;
}

/** Why not what a member is or holds, however deep; undefined if it may pass. */
function refusedContent(value: unknown, depth: number): string | undefined {
  if (depth > MAX_DEPTH) return "the messages are nested too deeply";
  if (Array.isArray(value)) {
    for (const each of value as unknown[]) {
      const refused = refusedContent(each, depth + 1);
      if (refused !== undefined) return refused;
    }
    return undefined;
  }
  if (!isMembers(value)) return undefined;
  const { type, content, file_id: fileId } = value;
  const tool = type === "tool_addition" ? refusedAddition(value["tool"]) : undefined;
  if (tool !== undefined) return outside(tool);
  if (type === "server_tool_use" && !SERVER_TOOL_NAME.test(String(value["name"]))) return outside(short(value["name"]));
  if ((fileId ?? null) !== null) return "a file_id names what lies with the API";
  const refused = refusedSource(value) ?? refusedBlock(content);
  if (refused !== undefined) return refused;
  for (const [name, member] of Object.entries(value)) {
    if (FREE_MEMBERS.has(name)) continue;
    const refused = refusedContent(member, depth + 1);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

function refusedSource({ source, type }: Members): string | undefined {
  if ((source ?? null) === null || (typeof source === "string" && NAMED_SOURCES.has(type))) return undefined;
  if (isMembers(source) && SOURCE_TYPES.has(source["type"])) return undefined;
  return `a source of type ${short(isMembers(source) ? source["type"] : source)} would be fetched by the API`;
}

/** Of a message's or a block's content, or the system's. */
function refusedBlock(content: unknown): string | undefined {
  const blocks = Array.isArray(content) ? (content as unknown[]) : isMembers(content) ? [content] : [];
  const wrong = blocks.find((block) => !isMembers(block) || !BLOCK_TYPES.has(block["type"]));
  if (wrong === undefined) return undefined;
  return `a block of type ${short(isMembers(wrong) ? wrong["type"] : wrong)} is not known`;
}

function short(value: unknown): string {
  return cutChars(String(JSON.stringify(value)), 60);
}
