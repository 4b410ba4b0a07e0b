/** Exit codes of the agent's process. An agent that a signal killed has none. */
export const EXIT_CODES = {
  /** It was told to end (TERM or INT). */
  closed: 0,
  /** A fault of the agent; its log says which. */
  failed: 1,
  /** A CLAUDECLUSTER_ variable is wrong. */
  configurationInvalid: 2,
  /** The socket or a port is not to be had. */
  listenFailed: 3,
  /** No host was there for the absence timeout. */
  hostAbsent: 4,
} as const;
