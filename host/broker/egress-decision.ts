/** Decision on a destination. */
export interface EgressDecision {
  /** Destination as "host:port", or "(malformed)". */
  destination: string;
  allowed: boolean;
  /** Reason for a refusal. Empty: it is allowed. */
  reason: string;
  /** Whether it is about a push. Default: false. */
  push?: boolean;
}
