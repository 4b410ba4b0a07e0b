import type { App } from "../app.ts";
import { readToken } from "../bearer-token.ts";
import { serveHttp } from "../mcp/http-server.ts";
import { MCPServer } from "../mcp/mcp-server.ts";
import { VERSION } from "../version.ts";
import { type CommandIo, EXIT } from "./command-io.ts";

/** Serves MCP on standard input and output until the client has gone or a signal comes. */
export async function mcpStdioCommand(app: App, io: CommandIo): Promise<number> {
  const server = new MCPServer({ sessions: app.sessions, version: VERSION, logger: app.logger });
  const closed = Promise.withResolvers<undefined>();
  const done = () => closed.resolve(undefined);
  const handle = server.serveStdio({ onClose: done });
  process.stdin.once("close", done);
  io.signal.addEventListener("abort", done, { once: true });
  await closed.promise;
  await handle.close();
  return EXIT.done;
}

/** Serves MCP over HTTP until a signal comes. */
export async function mcpHttpCommand(
  app: App,
  options: { address: string; tokenFile: string; allowedHosts: string[] },
  io: CommandIo,
): Promise<number> {
  const server = new MCPServer({ sessions: app.sessions, version: VERSION, logger: app.logger });
  const token = await readToken(options.tokenFile);
  await using http = await serveHttp(server.httpHandler(), { ...options, token });
  io.stderr.write(`MCP on ${http.url}\n`);
  await new Promise<void>((resolve) => {
    if (io.signal.aborted) resolve();
    else io.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  return EXIT.done;
}
