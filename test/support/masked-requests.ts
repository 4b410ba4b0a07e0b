import type { RecordedRequest } from "../model/request-log.ts";

/** Where requests go and what they say, without what no two sessions have in common: ids of conversations and users, and those that the model gives. */
export function maskedRequests(requests: readonly RecordedRequest[]): string[] {
  return requests.map(({ path, body }) =>
    `${path} ${JSON.stringify(body)}`
      .replace(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g, "UUID")
      .replace(/\b[0-9a-f]{64}\b/g, "HASH")
      // Of the request, from older versions of Claude Code.
      .replace(/\bcch=[0-9a-f]+/g, "cch=HASH")
      .replace(/\btoolu_\w+/g, "TOOL"),
  );
}
