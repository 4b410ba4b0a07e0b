import type { ServerResponse } from "node:http";

/** Refuses a request for now: Claude's client tries again what it is told to, and the next attempt gets the credential of then. */
export function refuseForNow(response: ServerResponse, message: string): void {
  response.setHeader("x-should-retry", "true");
  refuse(response, 503, "api_error", message);
}

/** Answers as the API does when it refuses. */
export function refuse(response: ServerResponse, status: number, type: string, message: string): void {
  const body = JSON.stringify({ type: "error", error: { type, message } });
  response
    .writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
    .end(body);
}
