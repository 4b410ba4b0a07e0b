import { createInterface } from "node:readline";

/**
 * A minimal MCP server on stdio for tests: one deferred tool, `spawn_claude_container`, that answers with its own
 * arguments and a session id. It stands in where the subject is Claude Code or the scripted model, not our server.
 */
const TOOL = {
  name: "spawn_claude_container",
  description: "Echoes its arguments.",
  inputSchema: { type: "object", properties: { task: { type: "string" } }, required: ["task"] },
};

function answer(method: string, params: { readonly arguments?: unknown; readonly protocolVersion?: unknown }): unknown {
  switch (method) {
    case "initialize":
      return {
        protocolVersion: params.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "echo", version: "1.0.0" },
      };
    case "tools/list":
      return { tools: [TOOL] };
    case "tools/call":
      return {
        content: [{ type: "text", text: `ses_01JD0000000000000000000000 got ${JSON.stringify(params.arguments)}` }],
      };
    default:
      return undefined;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const {
    id,
    method,
    params = {},
  } = JSON.parse(line) as { id?: unknown; method: string; params?: Parameters<typeof answer>[1] };
  if (id === undefined) continue;
  const result = answer(method, params);
  const outcome = result === undefined ? { error: { code: -32601, message: "Method not found" } } : { result };
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...outcome })}\n`);
}
