import { rawPathText } from "../present/path-text.ts";
import { undoApply } from "../repository/undo.ts";
import { findRepository } from "../repository/user-repository.ts";
import type { Sessions } from "../session/sessions.ts";
import { type ApplyOptions, branchPlace, openJournal } from "./apply-session.ts";
import { noteTaken } from "./note-taken.ts";

/** Report on an apply that was taken back, as plain JSON. */
export interface UndoReport {
  session_id: string;
  /** Top of the user's work tree. */
  repository: string;
  /** Branch that was removed. Missing: the apply was to files. */
  branch?: string;
  /** Number of files that are as they were. */
  file_count: number;
  /** Files that were changed since an apply that was broken off, and are left as they are; with copies from before it. */
  left_as_they_are?: { path: string; before?: string }[];
  /** True: the apply, or an undo of it, had been broken off. */
  unfinished?: boolean;
  /** Sentence on why the host does not know that the changes were given back, if it does not. */
  not_noted?: string;
}

/**
 * Takes back the last apply to the work tree that a directory is in, or the last of a session. Throws NOT_A_REPOSITORY, and
 * what undoApply throws.
 */
export async function undoSession(
  sessions: Sessions,
  { sessionId, directory }: { sessionId: string | undefined; directory: string },
  { stateDirectory, signal }: Pick<ApplyOptions, "stateDirectory" | "signal">,
): Promise<UndoReport> {
  const repository = await findRepository(directory, { signal });
  using journal = openJournal(stateDirectory, repository);
  const { branch, fileCount, unfinished, left, ...undone } = await undoApply(repository, {
    journal,
    sessionId,
    signal,
  });
  const place = branch === undefined ? repository.workTree : branchPlace(branch, repository);
  const notNoted = await noteGivenBack(sessions, undone.sessionId, place);
  return {
    session_id: undone.sessionId,
    repository: repository.workTree,
    ...(branch !== undefined && { branch }),
    file_count: fileCount,
    ...(left.length > 0 && {
      left_as_they_are: left.map(({ path, copy }) => ({
        path: rawPathText(path),
        ...(copy !== undefined && { before: copy }),
      })),
    }),
    ...(unfinished && { unfinished }),
    ...(notNoted !== undefined && { not_noted: notNoted }),
  };
}

async function noteGivenBack(sessions: Sessions, sessionId: string, place: string): Promise<string | undefined> {
  const session = await sessions.get(sessionId).catch(() => undefined);
  // What was taken elsewhere as well is still taken.
  if (session !== undefined && session.taken?.place !== place) return undefined;
  return await noteTaken(sessions, sessionId, undefined);
}
