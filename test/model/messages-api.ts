import type { IncomingMessage, ServerResponse } from "node:http";
import { errorBody, errorType } from "./api-error.ts";
import { Attempts, stepForAttempt } from "./attempts.ts";
import { chooseStep } from "./choose-step.ts";
import { credentialProblem } from "./credential.ts";
import { identifier } from "./identifiers.ts";
import { MarkerError } from "./marker.ts";
import { parseMessagesRequest, type MessagesRequest } from "./messages-request.ts";
import type { RequestLog } from "./request-log.ts";
import { type RecordedRequest } from "./request-log.ts";
import type { Scenario } from "./scenario.ts";
import { sendJson, sendReply } from "./send-reply.ts";

export interface MessagesApiOptions {
  readonly scenarios: ReadonlyMap<string, Scenario>;
  readonly key: string | undefined;
  readonly log: RequestLog;
}

export type RequestHandler = (request: IncomingMessage, response: ServerResponse, signal: AbortSignal) => Promise<void>;

/** A refusal on the way to a reply, sent in the real API's form. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The Messages API as a function of one HTTP exchange. The signal ends when the client goes or the server closes. */
export function createMessagesApi({ scenarios, key, log }: MessagesApiOptions): RequestHandler {
  const attempts = new Attempts();
  let received = 0;

  return async (incoming, response, signal) => {
    received += 1;
    const requestId = identifier("req", String(received));
    response.setHeader("request-id", requestId);
    const recorded = await record(incoming);
    log.add(recorded);
    try {
      await answer(recorded, response, requestId, signal);
    } catch (error) {
      const refusal = error instanceof MarkerError ? new Refusal(400, error.message) : error;
      if (!(refusal instanceof Refusal)) throw error;
      sendJson(response, refusal.status, errorBody(errorType(refusal.status), refusal.message, requestId));
    }
  };

  async function answer(
    recorded: RecordedRequest,
    response: ServerResponse,
    requestId: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { pathname } = new URL(recorded.path, "http://localhost");
    const route = `${recorded.method} ${pathname}`;
    if (route !== "POST /v1/messages" && route !== "POST /v1/messages/count_tokens")
      throw new Refusal(404, "Not found");
    const problem = credentialProblem(recorded.headers, key);
    if (problem !== undefined) throw new Refusal(401, problem);
    if (!recorded.headers["anthropic-version"]) throw new Refusal(400, "anthropic-version: header is required");
    if (pathname.endsWith("/count_tokens"))
      return sendJson(response, 200, { input_tokens: Math.ceil(JSON.stringify(recorded.body).length / 4) });
    const parsed = parseMessagesRequest(recorded.body);
    if (!parsed.ok) throw new Refusal(400, parsed.message);
    const { model, stream } = parsed.request;
    const { scenario, step, place } = chooseStep(parsed.request, scenarios);
    recorded.scenario = scenario;
    const seed = `${sessionOf(recorded, parsed.request)}/${place}`;
    const attempt = attempts.next(seed);
    await sendReply(response, stepForAttempt(step, attempt), {
      model,
      stream,
      requestId,
      signal,
      seed: `${seed}/${attempt}`,
    });
  }
}

/** The Claude Code session a request belongs to. Proxies may drop the header; the body's metadata names the session as well. */
function sessionOf(recorded: RecordedRequest, request: MessagesRequest): string {
  const header = recorded.headers["x-claude-code-session-id"];
  return typeof header === "string" ? header : (request.metadata?.user_id ?? "no session");
}

async function record(incoming: IncomingMessage): Promise<RecordedRequest> {
  const receivedAt = new Date();
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = parseBody(Buffer.concat(chunks).toString("utf8"));
  return { method: incoming.method ?? "", path: incoming.url ?? "", headers: incoming.headers, body, receivedAt };
}

function parseBody(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Not JSON: kept as text for the log, and refused as a body.
    return text;
  }
}
