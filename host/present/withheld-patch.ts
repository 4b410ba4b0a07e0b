import type { SessionResult } from "../../proto/index.ts";
import { oneLine } from "./plain-text.ts";

/** Patch that is not to be applied: it is another than the session's list of changes says. It is kept for looking. */
export function isPatchWithheld({ failure }: { failure?: { reason: string } }): boolean {
  return failure?.reason === "PATCH_MISMATCH";
}

/** What is to be read before such a patch. Undefined: it is none. */
export function patchWarning(outcome: SessionResult["outcome"] | undefined): string | undefined {
  if (outcome?.case !== "failure" || !isPatchWithheld({ failure: outcome.value })) return undefined;
  return `${outcome.value.reason}: ${oneLine(outcome.value.message)}\nDo not apply this patch.`;
}
