import type { ServerResponse } from "node:http";

/** Refuses a request so that Claude's client tries again later. That attempt gets the credential of its time. */
export function refuseForNow(response: ServerResponse, message: string): void {
  response.setHeader("x-should-retry", "true");
  refuse(response, 503, "api_error", message);
}

/** Answers as the API does when it refuses a request. */
export function refuse(response: ServerResponse, status: number, type: string, message: string): void {
  const body = JSON.stringify({ type: "error", error: { type, message } });
  response
    .writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
    .end(body);
}
