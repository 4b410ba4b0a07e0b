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
} as const;
