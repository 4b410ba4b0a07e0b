import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { hostHeaderValidation, originValidation, toNodeHandler } from "@modelcontextprotocol/node";
import type { McpHttpHandler } from "@modelcontextprotocol/server";
import { listenError, parseAddress } from "../address.ts";
import type { Callers, RemoteCaller } from "../callers/callers.ts";

/** Address of the MCP server over HTTP. */
export interface HttpAddress {
  /** Address to listen on, as "host:port". */
  address: string;
  /** Names that callers may use for this server beside those of loopback. */
  allowedHosts: string[];
}

/** Address and callers of the MCP server over HTTP. */
export interface HttpOptions extends HttpAddress {
  callers: Callers;
  /** Called for each request of somebody without a token that counts. */
  onRefused?: () => void;
  /** Makes what serves one caller: nothing of it is another caller's. */
  serve: (caller: RemoteCaller) => McpHttpHandler;
}

/** What serves a caller, in both shapes that it is needed in. */
interface Served {
  handler: McpHttpHandler;
  handle: ReturnType<typeof toNodeHandler>;
}

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Serves MCP at /mcp to callers with a token. Host and origin are checked, so that no web page in a browser on the
 * same machine reaches it under another name.
 */
export async function serveHttp(options: HttpOptions): Promise<AsyncDisposable & { url: string }> {
  const { hostname, port } = parseAddress(options.address);
  const names = [...LOOPBACK, ...options.allowedHosts];
  const checkHost = hostHeaderValidation(names);
  const checkOrigin = originValidation(names);
  const served = new Map<RemoteCaller, Served>();
  const server = createServer((request, response) => {
    if (!checkHost(request, response) || !checkOrigin(request, response)) return;
    const caller = options.callers.find(request.headers.authorization);
    if (caller === undefined) {
      options.onRefused?.();
      return refuse(response, 401, "Show a token of this host's: Authorization: Bearer …");
    }
    if ((request.url ?? "").split("?")[0] !== "/mcp") return refuse(response, 404, "MCP is at /mcp.");
    const { handle } = served.get(caller) ?? begin(caller);
    const cut = () => response.destroy();
    caller.revoked.addEventListener("abort", cut, { once: true });
    response.once("close", () => caller.revoked.removeEventListener("abort", cut));
    handle(request as Parameters<typeof handle>[0], response).catch(cut);
  });
  const begin = (caller: RemoteCaller): Served => {
    const handler = options.serve(caller);
    const one = { handler, handle: toNodeHandler(handler) };
    served.set(caller, one);
    caller.revoked.addEventListener("abort", () => {
      served.delete(caller);
      handler.close().catch(() => {}); // Its calls are cut in any case.
    });
    return one;
  };
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(options.address, error)));
    server.listen(port, hostname, resolve);
  });
  return {
    url: `http://${hostname}:${(server.address() as AddressInfo).port}/mcp`,
    async [Symbol.asyncDispose]() {
      await Promise.all([...served.values()].map(({ handler }) => handler.close()));
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
