import {
  type Agent,
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type Server,
  type ServerResponse,
} from "node:http";
import { request as httpsRequest } from "node:https";
import type { Logger } from "pino";
import { type Credential, credentialHeaders, type CredentialSource } from "./credential.ts";
import { endToEndHeaders, endWith, exchange, guard, statusOf } from "./http-exchange.ts";
import { RequestBodies } from "./request-bodies.ts";
import { allowedBetas, checkModelRequest } from "./model-policy.ts";

export interface ModelGatewayOptions {
  /** The model's endpoint, without /v1/messages. */
  endpoint: URL;
  credentials: CredentialSource;
  /** Bounds and keeps the connections to the endpoint. */
  modelAgent: Agent;
  logger: Logger;
  /** Told of every request that is refused for what it asks for. */
  onDecision: (decision: { destination: string; allowed: boolean; reason: string }) => void;
}

/** What Claude needs, and nothing else: every other path of the API would be reached with the user's key. */
const PATHS = new Set(["/v1/messages", "/v1/messages/count_tokens"]);
/** Passed on as they are. The rest is left out or made anew. */
const REQUEST_HEADERS = [
  "content-type",
  "accept",
  "anthropic-version",
  "user-agent",
  "x-app",
  "x-claude-code-session-id",
];
const REQUEST_HEADER_PREFIX = "x-stainless-";
/**
 * Stands between Claude and the model's API: plain HTTP on the container's side, the real
 * endpoint with the user's credential on the other. Requests are read, checked and written anew;
 * answers stream through with backpressure.
 */
export function createModelGateway(options: ModelGatewayOptions): Server {
  const bodies = new RequestBodies();
  const server = createServer((request, response) =>
    exchange(request, response, () => {
      forward(request, response, { ...options, bodies }).catch(() => response.destroy());
    }),
  );
  // A model may think for longer than Node's default of five minutes.
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.timeout = 0;
  return server;
}

async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  options: ModelGatewayOptions & { bodies: RequestBodies },
): Promise<void> {
  const { endpoint, logger, credentials, bodies } = options;
  const url = URL.canParse(request.url ?? "", "http://gateway")
    ? new URL(request.url ?? "", "http://gateway")
    : undefined;
  if (request.method === "HEAD" && url?.pathname === "/") {
    response.writeHead(200).end();
    return;
  }
  if (request.method !== "POST" || url === undefined || !PATHS.has(url.pathname) || url.host !== "gateway") {
    request.resume();
    return refuse(
      response,
      404,
      "not_found_error",
      "ClaudeCluster passes on POST /v1/messages and POST /v1/messages/count_tokens only.",
    );
  }
  const target = new URL(endpoint.pathname.replace(/\/$/, "") + url.pathname, endpoint);
  if (url.searchParams.get("beta") === "true") target.searchParams.set("beta", "true");
  const body = await bodies.read(request, response);
  if (body === undefined) {
    return refuse(
      response,
      413,
      "request_too_large",
      "The request is too large: 32 MB, or 64 MB with the others under way.",
    );
  }
  const checked = checkModelRequest(parse(body));
  if ("refused" in checked) {
    const reason = `model request refused: ${checked.refused}`;
    options.onDecision({ destination: authorityOf(endpoint), allowed: false, reason });
    return refuse(response, 400, "invalid_request_error", `ClaudeCluster does not pass this on: ${checked.refused}.`);
  }
  // What was looked at is what is sent: of two members with one name, say, the one that counts here.
  const content = Buffer.from(JSON.stringify(checked.body));
  let credential: Credential | undefined;
  try {
    credential = await credentials.read();
  } catch (error) {
    logger.error({ err: error }, "credential cannot be read");
  }
  // Claude has gone meanwhile.
  if (response.destroyed || request.socket.destroyed) return;
  if (credential === undefined) {
    return refuseForNow(response, "ClaudeCluster has no credential for the model at the moment.");
  }
  const used = credential;
  const send = target.protocol === "https:" ? httpsRequest : httpRequest;
  const upstream = send(target, {
    method: "POST",
    headers: { ...requestHeaders(request, used), "content-length": content.length },
    agent: options.modelAgent,
  });
  const startMs = Date.now();
  upstream.on("response", (answer) => {
    logger.debug({ status: answer.statusCode, elapsedMs: Date.now() - startMs }, "model request");
    answer.on("error", () => response.destroy());
    const passOn = () =>
      guard(response, () => {
        response.writeHead(statusOf(answer), withoutCookies(endToEndHeaders(answer.headers)));
        answer.pipe(response);
      });
    if (answer.statusCode !== 401) return passOn();
    void isRenewed(credentials, used, logger).then((renewed) => {
      if (response.destroyed) return;
      if (!renewed) return passOn();
      answer.resume();
      refuseForNow(response, "ClaudeCluster has another credential for the model now.");
    });
  });
  upstream.on("error", (error) => {
    logger.warn({ code: (error as NodeJS.ErrnoException).code }, "model endpoint not reached");
    if (response.headersSent) response.destroy();
    else refuse(response, 502, "api_error", `ClaudeCluster could not reach the model endpoint ${endpoint.host}.`);
  });
  // Claude has gone away, or was interrupted: the model need not go on.
  endWith(request, response, upstream);
  upstream.end(content);
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}

function authorityOf({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port === "" ? (protocol === "https:" ? 443 : 80) : port}`;
}

/** Whether there is another credential than the one that the endpoint has refused. Never rejects. */
async function isRenewed(credentials: CredentialSource, refused: Credential, logger: Logger): Promise<boolean> {
  try {
    const now = await credentials.renew(refused);
    const renewed = now !== undefined && (now.kind !== refused.kind || now.value !== refused.value);
    logger.warn({ renewed }, "the model's endpoint refused the credential");
    return renewed;
  } catch (error) {
    logger.error({ err: error }, "credential cannot be read");
    return false;
  }
}

function requestHeaders(request: IncomingMessage, credential: Credential): Record<string, string | number> {
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  for (const [name, value] of Object.entries(request.headers)) {
    if (typeof value === "string" && (REQUEST_HEADERS.includes(name) || name.startsWith(REQUEST_HEADER_PREFIX))) {
      headers[name] = value;
    }
  }
  const beta = request.headers["anthropic-beta"];
  const betas = allowedBetas(Array.isArray(beta) ? beta.join(",") : (beta ?? ""));
  return { ...headers, ...credentialHeaders(credential, betas) };
}

function withoutCookies(headers: Record<string, string | string[]>): Record<string, string | string[]> {
  delete headers["set-cookie"];
  return headers;
}

/** Claude's client tries again what it is told to, and the next attempt gets the credential of then. */
function refuseForNow(response: ServerResponse, message: string): void {
  response.setHeader("x-should-retry", "true");
  refuse(response, 503, "api_error", message);
}

function refuse(response: ServerResponse, status: number, type: string, message: string): void {
  const body = JSON.stringify({ type: "error", error: { type, message } });
  response
    .writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
    .end(body);
}
