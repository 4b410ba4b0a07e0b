import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { pino } from "pino";
import { MCPServer } from "../../host/mcp/mcp-server.ts";
import type { Sessions } from "../../host/session/sessions.ts";

/** Connects a client to the real MCP server over HTTP without a socket, in either era of the protocol. */
export async function connectOverHttp(sessions: Sessions, mode: "legacy" | "auto"): Promise<Client> {
  const server = new MCPServer({ sessions, version: "1", logger: pino({ level: "silent" }) }).httpHandler();
  const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
  const fetch = (url: string | URL, init?: RequestInit) => server.fetch(new Request(url, init));
  await client.connect(new StreamableHTTPClientTransport(new URL("http://localhost/mcp"), { fetch }));
  return client;
}
