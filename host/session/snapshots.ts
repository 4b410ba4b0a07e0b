import type { RepositorySnapshot } from "../../proto/index.ts";
import type { ServedSnapshot } from "../broker/git/snapshot-gateway.ts";

/** Where the host keeps snapshots of local repositories. */
export interface Snapshots {
  /**
   * Makes ready what a session is served of a snapshot that a front has put there: with `depth` commits of history, all where
   * that is negative. Throws SNAPSHOT_MISSING.
   */
  open(sessionId: string, snapshot: RepositorySnapshot, options: { depth: number; signal: AbortSignal }): Promise<void>;
  /** Returns what a session that was opened is served. Looks at nothing before it is asked. */
  serve(sessionId: string, snapshot: RepositorySnapshot): ServedSnapshot;
}
