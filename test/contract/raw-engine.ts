import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";

/** What was answered. */
export interface RawAnswer {
  status: number;
  json: Record<string, unknown>;
}

/** Sends one request to the socket of an engine, or of a filter before it, as it is given. */
export async function sendRaw(
  socketPath: string,
  call: { method: string; path: string; body?: unknown; headers?: Record<string, string> },
): Promise<RawAnswer> {
  const { method, path, body, headers = {} } = call;
  const sent = request({ socketPath, method, path, agent: false, headers: { host: "engine", ...headers } });
  const payload = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  if (payload !== undefined) {
    sent.setHeader("content-type", "application/json");
    sent.setHeader("content-length", Buffer.byteLength(payload));
  }
  sent.end(payload);
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  const content = await text(answer);
  return { status: answer.statusCode ?? 0, json: parse(content) };
}

/** Sends bytes and resolves with all that comes until the other side ends. */
export async function sendBytes(socketPath: string, bytes: string): Promise<string> {
  const socket = connect(socketPath);
  socket.on("error", () => {});
  socket.write(bytes);
  return await text(socket);
}

function parse(content: string): Record<string, unknown> {
  try {
    return JSON.parse(content) as Record<string, unknown>;
  } catch {
    return { text: content };
  }
}
