import { type AppError, asAppError } from "../../proto/index.ts";
import { type CommandSummary, summarizeCommand } from "../present/command-text.ts";
import { rawPathText } from "../present/path-text.ts";
import { compareChanges } from "../repository/compare-changes.ts";
import { type PreparedChanges, prepareChanges } from "../repository/session-changes.ts";
import { findRepository, type UserRepository } from "../repository/user-repository.ts";
import type { Sessions } from "../session/sessions.ts";
import { type ShownConflict, showConflict } from "./apply-report.ts";
import { readSessionChanges } from "./session-patch.ts";

/** As many paths of an overlap are listed. */
const MAX_PATHS = 50;

/** Comparison of sessions' results, as plain JSON. */
export interface ComparisonReport {
  sessions: { session_id: string; task: string; file_count: number; check?: CommandSummary }[];
  /** Pairs of sessions that have changed the same files, with the conflicts and up to 50 of the paths. */
  overlaps: { session_ids: [string, string]; paths: string[]; path_count: number; conflicts?: ShownConflict[] }[];
  /** Order in which the results are best taken, with the files in conflict with those before. */
  order: { session_id: string; conflicts?: string[] }[];
  /** Sessions that have changed nothing, or whose result cannot be taken, and why. */
  left_out?: { session_id: string; why: string }[];
}

/**
 * Compares the results of finished sessions, in the repository that a directory is in and that has their starts. Nothing is
 * written there. Throws NOT_A_REPOSITORY, NOT_FOUND, SESSION_NOT_FINISHED, START_NOT_FOUND.
 */
export async function compareSessions(
  sessions: Sessions,
  { sessionIds, directory }: { sessionIds: readonly string[]; directory: string },
  { stateDirectory, signal }: { stateDirectory: string; signal: AbortSignal },
): Promise<ComparisonReport> {
  const repository = await findRepository(directory, { signal });
  const results: PreparedChanges[] = [];
  try {
    return await compareAll(repository, sessions, { sessionIds, results, stateDirectory, signal });
  } finally {
    // The others are in the first one's scratch repository.
    await results[0]?.[Symbol.asyncDispose]();
  }
}

/** Compares as `compareSessions` does. What it has prepared is in `results`, whatever becomes of it. */
async function compareAll(
  repository: UserRepository,
  sessions: Sessions,
  options: { sessionIds: readonly string[]; results: PreparedChanges[]; stateDirectory: string; signal: AbortSignal },
): Promise<ComparisonReport> {
  const { sessionIds, results, stateDirectory, signal } = options;
  const about: { task: string; check?: CommandSummary }[] = [];
  const leftOut: { session_id: string; why: string }[] = [];
  for (const id of new Set(sessionIds)) {
    try {
      const { session, changes, startStores } = await readSessionChanges(sessions, id, { stateDirectory });
      // Merged with each other, they have to be in one place.
      const scratch = results[0]?.scratch;
      results.push(await prepareChanges(repository, changes, { startStores, scratch, signal }));
      const check = session.result?.check;
      about.push({ task: session.spec?.task ?? "", ...(check !== undefined && { check: summarizeCommand(check) }) });
    } catch (error) {
      const known = asAppError(error);
      if (!isLeftOut(known)) throw error;
      leftOut.push({ session_id: id, why: known.message });
    }
  }
  const { overlaps, order } = await compareChanges(results, { signal });
  const idOf = (at: number): string => results[at]!.sessionId;
  return {
    sessions: results.map(({ sessionId, changes }, at) => ({
      session_id: sessionId,
      file_count: changes.length,
      ...about[at]!,
    })),
    overlaps: overlaps.map(({ pair: [a, b], paths, conflicts }) => ({
      session_ids: [idOf(a), idOf(b)],
      paths: paths.slice(0, MAX_PATHS).map(rawPathText),
      path_count: paths.length,
      ...(conflicts.length > 0 && { conflicts: conflicts.map(showConflict) }),
    })),
    order: order.map(({ at, conflicts }) => ({
      session_id: idOf(at),
      ...(conflicts.length > 0 && { conflicts: conflicts.map(({ path }) => rawPathText(path)) }),
    })),
    ...(leftOut.length > 0 && { left_out: leftOut }),
  };
}

function isLeftOut({ reason }: AppError): boolean {
  return reason === "NOTHING_TO_APPLY" || reason === "PATCH_MISMATCH" || reason === "PATCH_NOT_APPLIED";
}
