import { setInterval } from "node:timers/promises";
import { performance } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Time that is looked at (ms). */
const WINDOW_MS = 10_000;
/** Part of it that the event loop may be at work if it is to count as quiet: a thousand idle sessions take 0.06. */
const QUIET_UTILIZATION = 0.1;

/** The function that V8 has for tests (https://nodejs.org/api/cli.html#--expose-gc). */
type Collect = (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

/**
 * Gives memory that V8 keeps for later back to the system, once after each busy time, until the signal is aborted. V8 itself keeps
 * the pages of a heap that was large once. It holds the process up: 40 ms, or 350 with a thousand sessions. Never rejects.
 */
export async function giveUnusedMemoryBack({
  windowMs = WINDOW_MS,
  signal,
}: {
  windowMs?: number;
  signal: AbortSignal;
}): Promise<void> {
  // What runs next is not to be compiled again.
  setFlagsFromString("--no-flush-bytecode");
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as Collect;
  let wasBusy = true;
  let before = performance.eventLoopUtilization();
  try {
    for await (const _ of setInterval(windowMs, undefined, { ref: false, signal })) {
      const isBusy = performance.eventLoopUtilization(before).utilization > QUIET_UTILIZATION;
      if (!isBusy && wasBusy) collect({ type: "major", execution: "sync", flavor: "last-resort" });
      wasBusy = isBusy;
      before = performance.eventLoopUtilization();
    }
  } catch {
    // The signal.
  }
}
