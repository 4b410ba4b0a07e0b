import type { SessionSummary } from "./session-summary.ts";

/** Patch that is not to be applied: it is another than the session's list of changes says. It is kept for looking. */
export function isPatchWithheld({ failure }: Pick<SessionSummary, "failure">): boolean {
  return failure?.reason === "PATCH_MISMATCH";
}
