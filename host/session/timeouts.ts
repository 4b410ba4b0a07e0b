/** Waits of the session layer (ms), each with its reason. */
export const TIMEOUTS = {
  /**
   * From the container's start to the agent's first answer, in the time in which the host ran; a loaded machine needs seconds,
   * an engine's restart more. How many containers get that time, one after the other.
   */
  firstContactMs: 60_000,
  startAttempts: 3,
  /**
   * After the session's own timeout or a stop: longer than the agent's own ladder (interrupt, end and kill Claude, then a
   * minute without progress, or five minutes in all, to collect the changes) and the transfer of the patch.
   */
  collectMs: 420_000,
  /** Between attempts to reach a container that runs: the first, then twice as long up to the last. */
  redialFirstMs: 50,
  redialLastMs: 2_000,
  /** For others under way to be counted, where the budget may not be enough for all; Claude's client then asks again. */
  budgetWaitMs: 60_000,
  /** Between attempts to store a session's end where there is no room. */
  storeRetryMs: 1_000,
  /** A lost connection shows before the runtime has noticed that the container is gone. */
  exitNoticeMs: 1_000,
  /** The same where the engine itself was away: it is asked again every five seconds. */
  exitLookMs: 7_000,
} as const;
