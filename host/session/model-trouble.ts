import type { Failure } from "../../proto/index.ts";

/** Facts that the host knows of a session and its model. */
export interface ModelFacts {
  endpoint: URL;
  /** Why the endpoint was not reached at last. Undefined: it was, or was not asked. */
  unreached: string | undefined;
  timeoutMs: number;
}

/** What Claude calls the endpoint, inside; the port is the agent's to choose. */
const INSIDE = /(?<![\d.])127\.0\.0\.1:\d{1,5}(?!\d)/g;
/** Failures in Claude's own words. In others it may be git's listener that is named. */
const CLAUDES = new Set(["MODEL_ERROR", "CLAUDE_ERROR"]);

/** Returns a failure's message; where the model's endpoint is the cause it names that, and what to do about it. */
export function explainModelTrouble(
  { reason, message }: Pick<Failure, "reason" | "message">,
  { endpoint, unreached, timeoutMs }: ModelFacts,
): string {
  const said = CLAUDES.has(reason) ? message.replace(INSIDE, () => endpoint.host) : message;
  switch (reason) {
    case "TIMED_OUT":
      return unreached === undefined
        ? said
        : `The session's time of ${timeoutMs / 1000} s was over: ${unreached}. Check base_url, and that the endpoint is up. What Claude did so far is in the changes.`;
    case "MODEL_ERROR":
      return unreached === undefined
        ? said
        : `The model did not answer: ${unreached}. Check base_url, and that the endpoint is up.`;
    case "AUTHENTICATION_FAILED":
      return `The model endpoint ${endpoint.host} refused the host's credential. Give the host a valid one (claudecluster credential set), and start the session again.`;
    default:
      return said;
  }
}
