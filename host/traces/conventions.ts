import { cutChars, type MeteredUsage } from "../../proto/index.ts";

/**
 * Version of the conventions for generative AI that all names here are of, as the address of its schema:
 * https://github.com/open-telemetry/semantic-conventions-genai/tree/v0.1.0
 */
export const SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/0.1.0";

/** Values of attributes by their names. */
export type Attributes = Record<string, string | number | boolean>;

/** Longest text of a container in a span (UTF-16 units). */
const MAX_TEXT_LENGTH = 100;

/** Returns a text of a container's, no longer than it may be. */
export function shortText(text: string): string {
  return cutChars(text, MAX_TEXT_LENGTH);
}

const PROVIDER = { "gen_ai.provider.name": "anthropic" };

/** Name and attributes of the span that is a session: https://github.com/open-telemetry/semantic-conventions-genai/blob/v0.1.0/docs/gen-ai/gen-ai-agent-spans.md */
export function agentSpan(sessionId: string, { model }: { model: string }) {
  const attributes: Attributes = {
    ...PROVIDER,
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "claude",
    "gen_ai.conversation.id": sessionId,
    ...(model !== "" && { "gen_ai.request.model": shortText(model) }),
  };
  return { name: "invoke_agent claude", attributes };
}

/** Name and attributes of the span that is the use of a tool. */
export function toolSpan({ name, id }: { name: string; id: string }) {
  const attributes: Attributes = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": shortText(name),
    "gen_ai.tool.call.id": shortText(id),
  };
  return { name: `execute_tool ${shortText(name)}`, attributes };
}

/** Name and attributes of the span that is a request to the model. */
export function modelSpan(sessionId: string, { model, answeringModel }: { model: string; answeringModel: string }) {
  const attributes: Attributes = {
    ...PROVIDER,
    "gen_ai.operation.name": "chat",
    "gen_ai.conversation.id": sessionId,
    "gen_ai.request.model": shortText(model),
    ...(answeringModel !== "" && { "gen_ai.response.model": shortText(answeringModel) }),
  };
  return { name: `chat ${shortText(model)}`, attributes };
}

/** Attributes of what was used of the model. Its input is all that was sent, with what the cache had. */
export function usageAttributes(usage: MeteredUsage): Attributes {
  const { inputTokenCount, cacheReadTokenCount, cacheWriteTokenCount, outputTokenCount, costUsd } = usage;
  return {
    "gen_ai.usage.input_tokens": Number(inputTokenCount + cacheReadTokenCount + cacheWriteTokenCount),
    "gen_ai.usage.output_tokens": Number(outputTokenCount),
    "gen_ai.usage.cache_read.input_tokens": Number(cacheReadTokenCount),
    "gen_ai.usage.cache_write.input_tokens": Number(cacheWriteTokenCount),
    "claudecluster.cost_usd": costUsd,
  };
}
