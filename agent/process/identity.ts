/** The user and group that a child process runs as. Undefined where one is expected: as ourselves, for tests. */
export interface Identity {
  uid: number;
  gid: number;
}
