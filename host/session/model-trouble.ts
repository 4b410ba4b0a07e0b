import type { Failure } from "../../proto/index.ts";

/** What the host knows of a session and its model. */
export interface ModelFacts {
  endpoint: URL;
  /** Why the endpoint was not reached at last. Undefined: it was, or was not asked. */
  unreached: string | undefined;
  timeoutMs: number;
}

/** Returns a failure's message; where the model's endpoint is the cause it names that, and what to do about it. */
export function explainModelTrouble(
  { reason, message }: Pick<Failure, "reason" | "message">,
  { endpoint, unreached, timeoutMs }: ModelFacts,
): string {
  switch (reason) {
    case "TIMED_OUT":
      return unreached === undefined
        ? message
        : `The session's time of ${timeoutMs / 1000} s was over: ${unreached}. Check base_url, and that the endpoint is up. What Claude did so far is in the changes.`;
    case "MODEL_ERROR":
      return unreached === undefined
        ? message
        : `The model did not answer: ${unreached}. Check base_url, and that the endpoint is up.`;
    case "AUTHENTICATION_FAILED":
      return `The model endpoint ${endpoint.host} refused the host's credential. Give the host a valid one (claudecluster credential set), and start the session again.`;
    default:
      return message;
  }
}
