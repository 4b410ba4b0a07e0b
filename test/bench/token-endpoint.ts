import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Between an answer's head and its first token, so that the one does not hold up the other (ms). */
const THINKING_MS = 2;

/** A model's endpoint. Disposing of it cuts what is under way. */
export interface TokenEndpoint extends AsyncDisposable {
  url: string;
}

/**
 * Starts a model's endpoint whose answers are one token: when the request had come and when the token was sent, in ns of
 * the machine's clock since its start.
 */
export async function startTokenEndpoint(host: string): Promise<TokenEndpoint> {
  const server = createServer((request, response) => {
    // Who has gone needs no answer.
    request.resume().once("end", () => void answer(response).catch(() => {}));
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(response: ServerResponse): Promise<void> {
  const arrived = process.hrtime.bigint();
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (type: string, members: object) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`);
  const usage = { input_tokens: 1, output_tokens: 1 };
  const message = { id: "msg_1", type: "message", role: "assistant", model: "claude-sonnet-4-5", content: [], usage };
  send("message_start", { message });
  send("content_block_start", { index: 0, content_block: { type: "text", text: "" } });
  await sleep(THINKING_MS);
  const text = `token ${arrived} ${process.hrtime.bigint()}`;
  send("content_block_delta", { index: 0, delta: { type: "text_delta", text } });
  send("content_block_stop", { index: 0 });
  send("message_delta", { delta: { stop_reason: "end_turn" }, usage });
  send("message_stop", {});
  response.end();
}
