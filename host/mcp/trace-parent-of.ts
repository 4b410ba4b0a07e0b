import { type ServerContext, TRACEPARENT_META_KEY } from "@modelcontextprotocol/server";

/**
 * Returns the traceparent of a call: of its `_meta`, as the protocol has it (SEP-414), or of the HTTP request, as Claude Code
 * sends it. Undefined: it has none.
 */
export function traceParentOf({ mcpReq, http }: ServerContext): string | undefined {
  const told: unknown = mcpReq._meta?.[TRACEPARENT_META_KEY];
  return typeof told === "string" ? told : (http?.req?.headers.get(TRACEPARENT_META_KEY) ?? undefined);
}
