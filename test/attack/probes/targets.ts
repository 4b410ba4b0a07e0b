/** What the test has put up outside, to be reached or not. */
export interface Targets {
  /** What only the host knows, in two halves: it is in no argument in one piece. */
  secret: readonly [string, string];
  /** A server of the machine that the engine runs on: its address in the engine's network, and the port. */
  host: { address: string; port: number };
  /** The name of a socket of that machine, in the abstract namespace. */
  abstractSocket: string;
  /** The address and port of another container. */
  sibling: { address: string; port: number };
  /** The authority of a TLS server that sessions may reach. */
  tls: string;
}
