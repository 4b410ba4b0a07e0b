import { findMissing, type HistoryBoundary } from "./commits.ts";
import { readGit } from "./git.ts";

/** Start that somebody has already, with all that is below it down to its boundary. */
export interface KnownStart {
  startCommitId: string;
  /** Commits whose parents they may not have. */
  boundaryCommitIds: readonly string[];
}

/**
 * Yields a thin pack of what somebody lacks of a start and its history: git's own, in which what they have is the base of what
 * they get. Nothing is yielded if they have all of it. Throws GIT_FAILED.
 */
export async function* packMissing(
  gitDirectory: string,
  start: { startCommitId: string; boundary: HistoryBoundary },
  { known, signal }: { known: readonly KnownStart[]; signal: AbortSignal },
): AsyncGenerator<Buffer, undefined> {
  const { startCommitId, boundary } = start;
  const place = { settings: "none", gitDirectory } as const;
  const ids = known.map(({ startCommitId: id }) => id);
  const missing = new Set(ids.length === 0 ? [] : await findMissing(place, ids, { signal }));
  const cut = new Set(boundary.commitIds);
  // git takes a commit at which it is told to stop for one without parents, whoever lacks them: where their history stops in
  // the midst of what is to be sent, what is behind that would not be.
  const stopsInside = (id: string) => !cut.has(id) && (boundary.given?.has(id) ?? true);
  const usable = known.filter((had) => !missing.has(had.startCommitId) && !had.boundaryCommitIds.some(stopsInside));
  if (usable.some((had) => had.startCommitId === startCommitId)) return;
  for (const id of usable.flatMap(({ boundaryCommitIds }) => boundaryCommitIds)) cut.add(id);
  const lines = [
    ...[...cut].map((id) => `--shallow ${id}`),
    startCommitId,
    ...usable.map((had) => `^${had.startCommitId}`),
  ];
  const args = ["pack-objects", "--quiet", "--revs", "--thin", "--shallow", "--stdout", "--delta-base-offset"];
  yield* readGit(place, args, { signal, input: `${lines.join("\n")}\n` });
}
