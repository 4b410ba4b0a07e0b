/** Waits of the agent in milliseconds, each with its reason. Tests shorten some of them. */
export const TIMEOUTS = {
  /** Between two messages of an idle stream: a caller takes three missed ones for a lost connection. */
  heartbeatMs: 5_000,
  /** Of silence until a caller is asked for a sign of life, and then until it is dropped: only the time in which this process ran. */
  pingIntervalMs: 5_000,
  pingTimeoutMs: 25_000,
  /** For a host to open a tunnel that was announced to it; it does so at once, unless it does not want it. */
  takeConnectionMs: 30_000,
  /** For a host to come back to a connection whose call it has lost: as long as a session does without a host. */
  keepConnectionMs: 60_000,
  /** For `claude --version` and `git --version` (10 ms each); only a broken image takes longer. */
  versionMs: 5_000,
  /**
   * Claude's first sign of life takes 0.6 s on a quiet machine; ten containers starting at once took 12 s. Counted is the time
   * in which it does not compute, and five times as much in all.
   */
  claudeReadyMs: 60_000,
  /** For a Claude that waits to take its place (0.1 s), counted in the same way: another one is started in about as long. */
  claudeClaimMs: 5_000,
  /** For Claude to ask its model: one that has not by then may be at work without, and its changes are looked for. */
  askedMs: 500,
  /** An interrupted Claude answers within 0.1 s; a tool that ignores its end keeps it longer. */
  interruptMs: 5_000,
  /** A Claude that has been told to end writes its transcript and exits within 0.3 s. */
  exitMs: 5_000,
  /** From SIGTERM to SIGKILL. */
  terminateMs: 3_000,
  /** For the pipes of a dead Claude: a process that it left behind may hold them open for ever. */
  pipesMs: 1_000,
  /** Claude begins a turn of its own about a finished background command within 0.1 s. */
  backgroundSettleMs: 3_000,
  /**
   * For the last scan and the patch: a repository of 50,000 files takes 2 s, one of 1 GB 42 s. Counted is the time in which
   * git does not compute, and five times as much in all.
   */
  collectMs: 60_000,
  /** For the scan after a turn, counted in the same way: what it would have told then comes later. */
  tellChangesMs: 10_000,
  /** All of an agent's shutdown: docker stop kills after 10 s. */
  shutdownMs: 9_000,
  /** The part of it that Claude gets; the rest is for the changes. */
  shutdownClaudeMs: 3_000,
  /** The part of it that the session gets, Claude included. */
  shutdownSessionMs: 6_500,
  /** What of that a host gets at most to take the result: it ends the container as soon as it has it. */
  shutdownResultMs: 4_000,
  /** For callers to read what was left to say. */
  drainMs: 1_000,
} as const;

/** Waits of an agent in milliseconds, by name. */
export type Timeouts = { readonly [Name in keyof typeof TIMEOUTS]: number };
