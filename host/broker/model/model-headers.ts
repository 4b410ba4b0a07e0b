import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { type Credential, credentialHeaders } from "./credential.ts";
import { endToEndHeaders } from "../http-exchange.ts";

/** Passed on as they are. The rest is left out or made anew. */
const REQUEST_HEADERS = ["accept", "anthropic-version", "user-agent", "x-app", "x-claude-code-session-id"];
const REQUEST_HEADER_PREFIX = "x-stainless-";

/** Returns the headers for the endpoint: those of the request that matter, and the credential. */
export function headersToModel(
  { headers }: IncomingMessage,
  { credential, betas }: { credential: Credential; betas: readonly string[] },
): Record<string, string> {
  const kept: Record<string, string> = { "accept-encoding": "identity", "content-type": "application/json" };
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === "string" && (REQUEST_HEADERS.includes(name) || name.startsWith(REQUEST_HEADER_PREFIX))) {
      kept[name] = value;
    }
  }
  return { ...kept, ...credentialHeaders(credential, betas) };
}

/** Returns the headers of an answer that Claude gets. */
export function headersToClaude(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const kept = endToEndHeaders(headers);
  delete kept["set-cookie"];
  return kept;
}
