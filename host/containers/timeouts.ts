/** Waits of leasing containers (ms), each with its reason. */
export const TIMEOUTS = {
  /** A create that the runtime failed at by chance is tried again: how often in all, and after how long. */
  createAttempts: 3,
  createAttemptsWhileAway: 10,
  createRetryMs: 500,
  /** Between looks at a runtime that is down, and how long a lease waits for one that worked before. */
  runtimeProbeMs: 1_000,
  runtimeReturnMs: 180_000,
  /** What a killed host left has no claim to hold up the first lease for longer. */
  firstSweepMs: 10_000,
  /**
   * For a prepared container to show that it can be taken: to start another one takes longer. One that is nearly ready is
   * waited for, which is no slower than to begin anew.
   */
  claimMs: 250,
  nearlyReadyMs: 5_000,
  /** To make and prepare one takes 1.5 s on a quiet machine. */
  prepareMs: 60_000,
  /** One that nobody took for so long is not worth its memory. */
  preparedMaxAgeMs: 1_800_000,
  /** Between looks at whether one is to stay. */
  preparedLookMs: 10_000,
  /** A session that has just begun needs the processors itself; one without a prepared container is left alone for longer. */
  refillAfterMs: 2_000,
  refillAfterColdMs: 5_000,
  /** Until one is made again after a failure: twice as long each time, up to the last. */
  refillFirstMs: 5_000,
  refillLastMs: 600_000,
} as const;
