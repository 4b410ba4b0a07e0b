/** What a client gives as the reason when nobody wanted the call to end: its own time-outs, its end, a move to the background. */
const NOBODY_WANTED = /time[ds]?[ -]?out|shutdown|background|recovery|closed/i;

/**
 * Whether a call was ended on purpose, by the reason of its signal. Only a cancellation says why in words (Claude Code:
 * "AbortError: user-cancel" and the like); a lost connection is an error, or has no reason of its own.
 */
export function wasCanceled(reason: unknown): boolean {
  return typeof reason === "string" && !NOBODY_WANTED.test(reason);
}
