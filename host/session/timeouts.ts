/** Every time limit of the session layer, in ms, each with its reason. */
export const TIMEOUTS = {
  /** From the container's start to the agent's first answer; a loaded machine needs seconds. */
  firstContactMs: 30_000,
  /** After the session's own timeout or a stop: the agent interrupts Claude and collects the changes. */
  collectMs: 60_000,
  /** A container is asked to end before it is ended; everything worth keeping has been fetched by then. */
  containerStopMs: 2_000,
  /** Between attempts to reach a container that runs: the first, then twice as long up to the last. */
  redialFirstMs: 50,
  redialLastMs: 2_000,
  /** A lost connection shows before the runtime has noticed that the container is gone. */
  exitNoticeMs: 1_000,
} as const;
