import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { hostHeaderValidation, originValidation, toNodeHandler } from "@modelcontextprotocol/node";
import type { McpHttpHandler } from "@modelcontextprotocol/server";
import { AppError } from "../../proto/index.ts";

export interface HttpOptions {
  /** "host:port" to listen on. */
  address: string;
  /** What callers show as a bearer token. */
  token: string;
  /** Names that callers may use for this server, beside those of loopback. */
  allowedHosts: string[];
}

/** A token shorter than this can be guessed. */
const MIN_TOKEN_LENGTH = 16;
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** Reads the bearer token from a file. Throws FAILED_PRECONDITION for one that cannot be used. */
export async function readToken(path: string): Promise<string> {
  let token: string;
  try {
    token = (await readFile(path, "utf8")).trim();
  } catch (error) {
    throw new AppError("TOKEN_FILE_UNREADABLE", `The token file ${path} cannot be read.`, {
      kind: "FAILED_PRECONDITION",
      help: "Make one that only you can read: openssl rand -hex 32.",
      cause: error,
    });
  }
  if (token.length >= MIN_TOKEN_LENGTH) return token;
  throw new AppError("TOKEN_TOO_SHORT", `The token in ${path} has fewer than ${MIN_TOKEN_LENGTH} characters.`, {
    kind: "FAILED_PRECONDITION",
    help: "Make a new one: openssl rand -hex 32.",
  });
}

/**
 * Serves MCP at /mcp to callers with the token. Host and origin are checked, so that no web page
 * in a browser on the same machine can reach it under another name.
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
    if (!hasToken(request, options.token)) return refuse(response, 401, "Show the token: Authorization: Bearer …");
    if ((request.url ?? "").split("?")[0] !== "/mcp") return refuse(response, 404, "MCP is at /mcp.");
    serve(request as Parameters<typeof serve>[0], response).catch(() => response.destroy());
  });
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(
        new AppError("LISTEN_FAILED", `Cannot listen on ${options.address} (${error.code}).`, {
          kind: "FAILED_PRECONDITION",
          help: "Choose another address with --http.",
          cause: error,
        }),
      );
    });
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

function hasToken(request: IncomingMessage, token: string): boolean {
  const shown = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";
  // Hashed first: the comparison wants equal lengths and must not tell the token's.
  return timingSafeEqual(sha256(shown), sha256(token));
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, {
    "content-type": "application/json",
    ...(status === 401 && { "www-authenticate": 'Bearer realm="claudecluster"' }),
  });
  response.end(JSON.stringify({ jsonrpc: "2.0", error: { code: -32000, message }, id: null }));
}

function parseAddress(address: string): { hostname: string; port: number } {
  const match = /^(.+):(\d{1,5})$/.exec(address);
  const port = Number(match?.[2]);
  if (match !== null && port <= 65535) return { hostname: match[1]!.replace(/^\[|\]$/g, ""), port };
  throw new AppError("ADDRESS_INVALID", `"${address}" is not an address to listen on.`, {
    kind: "INVALID_ARGUMENT",
    help: "Use host:port, such as 127.0.0.1:8811.",
  });
}
