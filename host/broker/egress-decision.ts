/** What was decided of a destination. */
export interface EgressDecision {
  /** "host:port", or "(malformed)". */
  destination: string;
  allowed: boolean;
  /** Why not. Empty if it is allowed. */
  reason: string;
}
