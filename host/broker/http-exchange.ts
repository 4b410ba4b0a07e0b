import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { cutChars } from "../../proto/index.ts";

/** Belong to one connection and not to a message: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 */
const HOP_HEADERS = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Returns the headers that go from one end to the other. Node would throw on some of the rest. */
export function endToEndHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const named = new Set((headers.connection ?? "").split(",").map((name) => name.trim().toLowerCase()));
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !HOP_HEADERS.has(name) && !named.has(name)) kept[name] = value;
  }
  return kept;
}

/**
 * Returns the header that gives a body of unknown length its end. Without it Node writes the body of a GET or DELETE as
 * it is, and a server could take it for another request.
 */
export function bodyFraming({ headers }: IncomingMessage): Record<string, string> {
  return headers["transfer-encoding"] === undefined ? {} : { "transfer-encoding": "chunked" };
}

/**
 * Runs a handler in which a message from outside could make Node throw. What it throws ends this exchange and not the
 * host.
 */
export function guard(response: { destroy(): unknown }, handle: () => void): void {
  try {
    handle();
  } catch {
    response.destroy();
  }
}

/** Requests that are unanswered on one connection. No client of ours sends a second before the first is answered. */
const MAX_PIPELINED = 8;
const unanswered = new WeakMap<Socket, number>();

/** Handles one request. A connection with too many under way is ended. */
export function exchange(request: IncomingMessage, response: ServerResponse, handle: () => void): void {
  const { socket } = request;
  const count = (unanswered.get(socket) ?? 0) + 1;
  if (count > MAX_PIPELINED) {
    socket.destroy();
    return;
  }
  unanswered.set(socket, count);
  response.once("close", () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1));
  guard(response, handle);
}

/** Ends a request of ours when the one that it serves has ended, or its connection. */
export function endWith(request: IncomingMessage, response: ServerResponse, upstream: ClientRequest): void {
  const { socket } = request;
  const end = () => upstream.destroy();
  // A response that waits for the one before it is never told that the connection has gone.
  socket.setMaxListeners(4 * MAX_PIPELINED).once("close", end);
  response.once("close", end);
  // One answer may take several requests of ours.
  upstream.once("close", () => {
    socket.off("close", end);
    response.off("close", end);
  });
}

/** Tells once a request of ours is over how many bytes its connection has carried for it. */
export function countBytes(upstream: ClientRequest, onBytes?: (count: number) => void): void {
  if (onBytes === undefined) return;
  upstream.once("socket", (socket) => {
    const carried = () => socket.bytesRead + socket.bytesWritten;
    const before = carried();
    upstream.once("close", () => onBytes(carried() - before));
  });
}

/** Returns a signal that is aborted when a request has been answered, or nobody waits for the answer any more. */
export function goneSignal(request: IncomingMessage, response: ServerResponse): AbortSignal {
  const { socket } = request;
  const gone = new AbortController();
  const abort = () => gone.abort();
  if (socket.destroyed || response.destroyed) abort();
  socket.setMaxListeners(4 * MAX_PIPELINED).once("close", abort);
  // A response that waits for the one before it is never told that the connection has gone.
  response.once("close", () => {
    socket.off("close", abort);
    abort();
  });
  return gone.signal;
}

/** Returns in a word why a server was not reached: the system's code if there is one. */
export function causeOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? cutChars(message, 100);
}

/** Returns a server's status, or 502 if Node would refuse to pass it on. */
export function statusOf(answer: IncomingMessage): number {
  const status = answer.statusCode ?? 502;
  return status >= 200 && status <= 599 ? status : 502;
}
