import { cutChars } from "../../proto/index.ts";
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
const TOOL_TYPES = ["custom", "bash_", "text_editor_", "computer_", "memory_", "tool_search_tool_"];

/** Sources that are in the request itself. The API would fetch others. */
const SOURCE_TYPES = new Set<unknown>(["base64", "text", "content"]);

/** No model of today answers with more. */
export const DEFAULT_MAX_OUTPUT_TOKENS = 256_000;

/** Deeper than any message; a body may not exhaust the stack. */
const MAX_DEPTH = 64;

/** The members of a JSON object. */
export type Members = Record<string, unknown>;

/** What the user decides of it. */
export interface ModelPolicy {
  /** Names of models, or their beginnings with a "*" behind them. Undefined: every model. */
  allowedModels: readonly string[] | undefined;
  /** Betas beside those that are passed on anyway, with or without a date. */
  allowedBetas: readonly string[];
  /** What one answer may be asked for (max_tokens). */
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
  const source = refusedSource([body["messages"], body["system"]], 0);
  if (source !== undefined) return { refused: source };
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
    if (typeof type !== "string" || !TOOL_TYPES.some((known) => type.startsWith(known))) {
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

function refusedSource(value: unknown, depth: number): string | undefined {
  if (depth > MAX_DEPTH) return "the messages are nested too deeply";
  if (Array.isArray(value)) {
    for (const each of value as unknown[]) {
      const refused = refusedSource(each, depth + 1);
      if (refused !== undefined) return refused;
    }
    return undefined;
  }
  if (!isMembers(value)) return undefined;
  const { source, type } = value;
  const tool = type === "tool_addition" ? refusedAddition(value["tool"]) : undefined;
  if (tool !== undefined) return outside(tool);
  if (isMembers(source) && !SOURCE_TYPES.has(source["type"])) {
    return `a source of type ${cutChars(String(JSON.stringify(source["type"])), 60)} would be fetched by the API`;
  }
  for (const [name, member] of Object.entries(value)) {
    // What a tool was called with is Claude's text, whatever it looks like.
    if (name === "input") continue;
    const refused = refusedSource(member, depth + 1);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
