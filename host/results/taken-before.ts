import { asAppError, type RawPath, type Session } from "../../proto/index.ts";
import { tryGit } from "../repository/git.ts";
import type { JournalRecord } from "../repository/journal.ts";
import { type PreparedChanges, prepareChanges } from "../repository/session-changes.ts";
import type { TreeChange } from "../repository/tree-diff.ts";
import type { UserRepository } from "../repository/user-repository.ts";
import type { Sessions } from "../session/sessions.ts";
import { readSessionChanges } from "./session-patch.ts";

/** No chain of sessions is followed further. */
const MAX_EARLIER = 50;

/**
 * Reads what was applied to the user's files before of the results that a session has gone on from: their changes against
 * its start, each file's newest. Earlier results that are gone, or that have another start, do not count.
 */
export async function readTakenBefore(
  sessions: Sessions,
  session: Session,
  { scratch, start }: PreparedChanges,
  {
    repository,
    applied,
    stateDirectory,
    signal,
  }: { repository: UserRepository; applied: readonly JournalRecord[]; stateDirectory: string; signal: AbortSignal },
): Promise<TreeChange[]> {
  if (applied.length === 0) return [];
  const newest = new Map<RawPath, TreeChange>();
  for (const id of (await earlierSessions(sessions, session)).reverse()) {
    const records = applied.filter(({ sessionId }) => sessionId === id);
    const isTaken = await findTaken(repository, records, { signal });
    if (isTaken === undefined) continue;
    try {
      const { changes, startStores } = await readSessionChanges(sessions, id, { stateDirectory });
      await using earlier = await prepareChanges(repository, changes, { startStores, scratch, signal });
      if (earlier.start.treeId !== start.treeId) continue;
      for (const change of earlier.changes.filter(isTaken)) newest.set(change.path, change);
    } catch (error) {
      signal.throwIfAborted();
      if (asAppError(error).kind === "INTERNAL") throw error;
    }
  }
  return [...newest.values()];
}

/** The sessions that one has gone on from, nearest first. */
async function earlierSessions(sessions: Sessions, session: Session): Promise<string[]> {
  const ids: string[] = [];
  let { spec } = session;
  while (ids.length < MAX_EARLIER) {
    const id = spec?.previousSessionId || spec?.afterSessionId || "";
    if (id === "") break;
    ids.push(id);
    try {
      ({ spec } = await sessions.get(id));
    } catch (error) {
      if (asAppError(error).kind !== "NOT_FOUND") throw error;
      break;
    }
  }
  return ids;
}

/** Says which of a session's changes the user's files have, by what was applied of it. Undefined: none. */
async function findTaken(
  { gitDirectory }: UserRepository,
  records: readonly JournalRecord[],
  { signal }: { signal: AbortSignal },
): Promise<((change: TreeChange) => boolean) | undefined> {
  const paths = new Set<string>();
  for (const { branch, files } of records) {
    for (const { path } of files) paths.add(path);
    if (branch === undefined) continue;
    const args = ["merge-base", "--is-ancestor", branch.commitId, "HEAD"];
    const merged = await tryGit({ settings: "none", gitDirectory }, args, { signal });
    if (merged.code === 0) return () => true;
  }
  return paths.size === 0 ? undefined : ({ path }) => paths.has(path);
}
