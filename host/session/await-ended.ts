import { setTimeout as delay } from "node:timers/promises";
import { asAppError } from "../../proto/index.ts";
import type { Container } from "../runtime/runtime.ts";
import type { RunEnd } from "./end-reason.ts";
import { exitFailure } from "./ending.ts";
import { checkEnded, type Ended, salvageEnded } from "./final-result.ts";
import type { AgentLink } from "./agent-link.ts";
import type { SessionLog } from "./session-log.ts";
import { TIMEOUTS } from "./timeouts.ts";

/** What an agent is, or says that none may say, is no sign of its container's end. */
const VERDICTS: ReadonlySet<string> = new Set([
  "AGENT_INVALID",
  "AGENT_OUTDATED",
  "PATCH_TOO_LARGE",
  "TRANSCRIPT_TOO_LARGE",
]);

/**
 * Waits for a session's end, and returns what it left: from its agent, or salvaged from the log if its container ended first.
 * Throws what else kept the agent from giving it. The container stays the caller's.
 */
export async function awaitEnded(
  running: ReturnType<AgentLink["run"]>,
  container: Container,
  { end, log }: { end: RunEnd; log: SessionLog },
): Promise<Ended> {
  const exited = container.exited.then((exit) => exitFailure(exit));
  try {
    // What is still on its way from a container that has ended is read first.
    const late = exited.then((outcome) => delay(TIMEOUTS.exitNoticeMs, outcome));
    const first = await Promise.race([running, late]);
    if ("result" in first) return await checkEnded(first, log);
    return await salvageEnded(end.outcome(first), log);
  } catch (error) {
    if (end.leaving.aborted) throw error;
    if (VERDICTS.has(asAppError(error).reason)) throw error;
    // The container's end is the cause, the lost connection only its sign.
    const exit = await Promise.race([exited, delay(TIMEOUTS.exitLookMs, undefined)]);
    if (exit === undefined) throw error;
    return await salvageEnded(end.outcome(exit), log);
  }
}
