import type { RepositorySnapshot } from "../../proto/index.ts";

/** Returns the commits that are checked out in a snapshot and in its submodules. Empty: there is none yet. */
export function headsOf({ headCommitId, submodules }: RepositorySnapshot): string[] {
  return [headCommitId, ...submodules.map((submodule) => submodule.headCommitId)].filter((id) => id !== "");
}

/** Returns all commits that a snapshot names. The first one reaches the others. */
export function commitsOf(snapshot: RepositorySnapshot): [string, ...string[]] {
  const { indexCommitId, trackedCommitId, untrackedCommitId, submodules } = snapshot;
  const indexes = submodules.map((submodule) => submodule.indexCommitId);
  return [untrackedCommitId, trackedCommitId, indexCommitId, ...indexes, ...headsOf(snapshot)];
}
