import type { SessionResult } from "../../proto/index.ts";
import { oneLine } from "./plain-text.ts";

/**
 * Returns whether a session's patch must not be applied: it differs from the list of changes, and is kept for looking.
 */
export function isPatchWithheld({ failure }: { failure?: { reason: string } }): boolean {
  return failure?.reason === "PATCH_MISMATCH";
}

/** Returns the warning before such a patch. Undefined: the patch may be applied. */
export function patchWarning(outcome: SessionResult["outcome"] | undefined): string | undefined {
  if (outcome?.case !== "failure" || !isPatchWithheld({ failure: outcome.value })) return undefined;
  return `${outcome.value.reason}: ${oneLine(outcome.value.message)}\nDo not apply this patch.`;
}
