import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { Client, type JSONRPCMessage, type Transport } from "@modelcontextprotocol/client";
import { pino } from "pino";
import { ClientPipe } from "../../host/mcp/client-pipe.ts";
import { MCPServer, type MCPServerOptions } from "../../host/mcp/mcp-server.ts";

/** Returns a client of our MCP server in this same process, over a pipe as Claude Code has one, in either era of the protocol. */
export async function connectInProcess(
  options: Pick<MCPServerOptions, "sessions" | "project">,
  mode: "legacy" | "auto" = "legacy",
): Promise<Client & AsyncDisposable> {
  const server = new MCPServer({ ...options, version: "0.0.0", logger: pino({ level: "silent" }) });
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const handle = server.serveStdio(new ClientPipe({ stdin, stdout }, { onAnswer: () => {}, onClose: () => {} }));
  const transport: Transport = {
    start: async () => {
      createInterface({ input: stdout }).on("line", (line) =>
        transport.onmessage?.(JSON.parse(line) as JSONRPCMessage),
      );
    },
    send: async (message) => void stdin.write(`${JSON.stringify(message)}\n`),
    close: async () => transport.onclose?.(),
  };
  const client = new Client({ name: "test", version: "1.0.0" }, { versionNegotiation: { mode } });
  await client.connect(transport);
  return Object.assign(client, {
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await handle.close();
    },
  });
}
