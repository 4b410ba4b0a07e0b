import { randomUUID } from "node:crypto";
import {
  isInitializeRequest,
  isJSONRPCNotification,
  isJSONRPCRequest,
  isLegacyRequest,
  type McpHttpHandler,
} from "@modelcontextprotocol/server";

/** Serves MCP to one request. */
type Fetch = McpHttpHandler["fetch"];

const SESSION_HEADER = "mcp-session-id";

/**
 * Returns a handler like `fetch` that lets clients of the protocol of 2025 cancel their calls: they do so by a request
 * of its own, where newer ones hang up. When it opens, such a client gets a session id, as that protocol has it. The id
 * only tells whose calls are meant: nothing is kept for it, and one of an earlier host is as good.
 */
export function cancelingByPost(fetch: Fetch): Fetch {
  const calls = new Map<string, AbortController>();
  return async (request, options) => {
    const message = await readMessage(request);
    if (message === undefined || !(await isLegacyRequest(request, message))) return fetch(request, options);
    if (isInitializeRequest(message)) return withSession(await fetch(request, options));
    const client = request.headers.get(SESSION_HEADER);
    if (client === null) return fetch(request, options);
    if (isJSONRPCNotification(message) && message.method === "notifications/cancelled") {
      const { requestId, reason } = message.params ?? {};
      calls.get(callKey(client, requestId))?.abort(typeof reason === "string" ? reason : "canceled");
    }
    if (!isJSONRPCRequest(message)) return fetch(request, options);
    const key = callKey(client, message.id);
    const call = new AbortController();
    calls.set(key, call);
    const forget = () => {
      if (calls.get(key) === call) calls.delete(key);
    };
    try {
      const signal = AbortSignal.any([request.signal, call.signal]);
      return untilRead(await fetch(new Request(request, { signal }), options), forget);
    } catch (error) {
      forget();
      throw error;
    }
  };
}

/** The message that a request holds; undefined where there is none. */
async function readMessage(request: Request): Promise<unknown> {
  if (request.method !== "POST") return undefined;
  // What is no JSON is refused by whoever serves it.
  return request
    .clone()
    .json()
    .catch(() => undefined);
}

function callKey(client: string, id: unknown): string {
  return JSON.stringify([client, id]);
}

function withSession(answer: Response): Response {
  if (!answer.ok) return answer;
  const headers = new Headers(answer.headers);
  headers.set(SESSION_HEADER, randomUUID());
  return new Response(answer.body, { status: answer.status, headers });
}

/** Returns the answer; `onEnd` is called once all of it was read, or nobody reads it any more. */
function untilRead(answer: Response, onEnd: () => void): Response {
  if (answer.body === null) {
    onEnd();
    return answer;
  }
  const body = answer.body.pipeThrough(new TransformStream({ flush: onEnd, cancel: onEnd }));
  return new Response(body, { status: answer.status, headers: answer.headers });
}
