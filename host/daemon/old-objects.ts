import { setFlagsFromString } from "node:v8";

/**
 * Has V8 collect old objects seldom. Each time holds a host up for tens of milliseconds, and takes both of two processors.
 * By itself it puts objects among the old ones at once where many of a kind have lived long: for it, all messages are of one
 * kind, of which some last for a session and most for a moment. And it collects the old ones as often as it may for 3 % of
 * the time; here they may become twice as many as are in use first. A V8 that does not know a flag says so, and goes on.
 */
export function collectOldObjectsSeldom(): void {
  setFlagsFromString("--no-allocation-site-pretenuring");
  setFlagsFromString("--heap-growing-percent=100");
}
