/** How the agent's process ends. A signal that kills it says the rest. */
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
