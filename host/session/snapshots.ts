import type { RepositorySnapshot } from "../../proto/index.ts";
import type { ServedSnapshot } from "../broker/git/snapshot-gateway.ts";
import type { CreateProgress } from "../runtime/runtime.ts";

/** Snapshots of local repositories that the host keeps, and serves to sessions. */
export interface Snapshots {
  /**
   * Prepares what a session is served of a snapshot that a caller has put there. It holds `depth` commits of history; negative:
   * all. Throws SNAPSHOT_MISSING.
   */
  open(sessionId: string, snapshot: RepositorySnapshot, options: { depth: number; signal: AbortSignal }): Promise<void>;
  /**
   * Returns the supply of the runtime's with what is committed of an opened snapshot, for a container of this image. It may take
   * a while. Undefined: there is none, and everything is fetched. Rejects with the signal's reason alone.
   */
  supply(
    sessionId: string,
    snapshot: RepositorySnapshot,
    options: { image: string; signal: AbortSignal; onProgress: (progress: CreateProgress) => void },
  ): Promise<string | undefined>;
  /** Returns whether an opened snapshot is so large that there is a supply, or may be. */
  isLarge(sessionId: string, snapshot: RepositorySnapshot): Promise<boolean>;
  /** Returns a snapshot that was uploaded by a caller elsewhere, all of it. Throws UPLOAD_UNKNOWN. */
  redeem(uploadId: string): RepositorySnapshot;
  /** Removes what was prepared for a session. */
  close(sessionId: string, snapshot: RepositorySnapshot): Promise<void>;
  /** Returns the snapshot that was opened for a session, to serve it. Nothing is read before git asks for it. */
  serve(sessionId: string, snapshot: RepositorySnapshot): ServedSnapshot;
}
