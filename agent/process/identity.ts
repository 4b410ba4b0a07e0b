/** User and group that a child process runs as. Where it may be undefined, that is the agent's own, for tests. */
export interface Identity {
  uid: number;
  gid: number;
}
