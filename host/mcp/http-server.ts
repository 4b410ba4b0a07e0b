import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { hostHeaderValidation, originValidation, toNodeHandler } from "@modelcontextprotocol/node";
import type { McpHttpHandler } from "@modelcontextprotocol/server";
import { listenError, parseAddress } from "../address.ts";
import { showsToken } from "../bearer-token.ts";

/** Address and token of the MCP server over HTTP. */
export interface HttpOptions {
  /** Address to listen on, as "host:port". */
  address: string;
  /** Bearer token that callers must show. */
  token: string;
  /** Names that callers may use for this server beside those of loopback. */
  allowedHosts: string[];
}

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Serves MCP at /mcp to callers with the token. Host and origin are checked, so that no web page in a browser on the
 * same machine reaches it under another name.
 */
export async function serveHttp(
  handler: McpHttpHandler,
  options: HttpOptions,
): Promise<AsyncDisposable & { url: string }> {
  const { hostname, port } = parseAddress(options.address);
  const names = [...LOOPBACK, ...options.allowedHosts];
  const checkHost = hostHeaderValidation(names);
  const checkOrigin = originValidation(names);
  const serve = toNodeHandler(handler);
  const server = createServer((request, response) => {
    if (!checkHost(request, response) || !checkOrigin(request, response)) return;
    if (!showsToken(request.headers.authorization, options.token))
      return refuse(response, 401, "Show the token: Authorization: Bearer …");
    if ((request.url ?? "").split("?")[0] !== "/mcp") return refuse(response, 404, "MCP is at /mcp.");
    serve(request as Parameters<typeof serve>[0], response).catch(() => response.destroy());
  });
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(options.address, error)));
    server.listen(port, hostname, resolve);
  });
  return {
    url: `http://${hostname}:${(server.address() as AddressInfo).port}/mcp`,
    async [Symbol.asyncDispose]() {
      await handler.close();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, {
    "content-type": "application/json",
    ...(status === 401 && { "www-authenticate": 'Bearer realm="claudecluster"' }),
  });
  response.end(JSON.stringify({ jsonrpc: "2.0", error: { code: -32000, message }, id: null }));
}
