import type { SessionResult } from "../../proto/index.ts";
import { indent } from "../present/indent.ts";
import { notInPatch } from "../present/not-in-patch.ts";
import { patchNotes } from "../present/patch-notes.ts";
import { rawPathText } from "../present/path-text.ts";
import { oneLine, plainText } from "../present/plain-text.ts";
import { findRunsCode } from "../present/runs-code.ts";
import { git } from "../repository/git.ts";
import type { Conflict } from "../repository/merge-trees.ts";
import type { PreparedChanges } from "../repository/session-changes.ts";
import { ABSENT, GITLINK, type TreeChange } from "../repository/tree-diff.ts";
import type { UserRepository } from "../repository/user-repository.ts";

/** No package.json is larger (bytes). */
const MAX_TEXT_BYTES = 1024 * 1024;
/** As many files are listed. */
const MAX_FILES = 100;

/** Report on an apply that was done, or would be, as plain JSON. */
export interface ApplyReport {
  session_id: string;
  /** Target of the apply. "nothing": it is a dry run, or not done yet. */
  applied: "branch" | "worktree" | "nothing";
  /** Top of the user's work tree. */
  repository: string;
  branch?: string;
  commit_id?: string;
  /** True: the branch was there before, with this same result. */
  already?: boolean;
  start_commit_id?: string;
  author?: string;
  staged?: boolean;
  /** Number of Claude's own commits on the branch. Missing: it was not asked for them. */
  commit_count?: number;
  /** Branches for what else Claude's repository has. */
  other_branches?: { ref: string; branch: string; commit_id: string; commit_count: number }[];
  /** What of that cannot be taken here, and why. */
  refs_missing?: { ref: string; why: string }[];
  /** First 100 of the changed files. */
  files: { path: string; kind: "added" | "modified" | "deleted" }[];
  /** Number of all changed files. */
  file_count: number;
  /** Files that run something on the user's machine, or decide what runs, and why. */
  runs_code?: { path: string; why: string }[];
  /** Conflicts with the user's files as they are now. Only for a branch or a dry run. */
  conflicts?: ShownConflict[];
  /** Submodules whose commit has changed, but not their files. */
  submodules?: string[];
  /** Files of submodules that have changed and that no branch can hold: `--worktree` takes them. */
  in_submodules?: string[];
  /** Warnings about the result, in sentences. */
  notes?: string[];
  /** Files that are not in the result, and why. */
  not_in_patch?: string[];
  /** Sentence on why the host does not know that the changes were taken, if it does not. */
  not_noted?: string;
  /** Remote that the branch was pushed to. */
  pushed_to?: string;
  /** URL of the pull request that was made. */
  pull_request?: string;
}

/** Conflict as people and programs are shown it. */
export interface ShownConflict {
  path: string;
  messages: string[];
  hunks: string[];
}

/** Returns a conflict as it is shown. Its messages and hunks are not escaped, and partly come from the container. */
export function showConflict({ path, messages, hunks }: Conflict): ShownConflict {
  return { path: rawPathText(path), messages: [...messages], hunks: [...hunks] };
}

/** Returns conflicts with their lines, for people. A terminal obeys nothing in it. */
export function conflictsText(conflicts: readonly ShownConflict[]): string {
  return conflicts
    .map(({ path, messages, hunks }) => {
      const said = messages.map((message) => indent(oneLine(message), 2));
      return [`conflict: ${path}`, ...said, ...hunks.map((hunk) => indent(plainText(hunk), 2))].join("\n");
    })
    .map((text) => `${text}\n`)
    .join("");
}

/** Describes an apply that is to come, with what is to be known of it before. */
export async function describeApply(
  { workTree: repository }: UserRepository,
  result: SessionResult,
  prepared: PreparedChanges,
  { signal }: { signal: AbortSignal },
): Promise<ApplyReport> {
  const runs = findRunsCode(await withTexts(prepared, { signal }));
  const notes = patchNotes(result);
  if (!prepared.proven) {
    notes.push(
      "Not proven: the session's agent has not named the tree, so nobody knows whether the patch is all there was.",
    );
  }
  const missing = notInPatch(result);
  return {
    session_id: prepared.sessionId,
    applied: "nothing",
    repository,
    ...listFiles(prepared.changes),
    ...(runs.length > 0 && { runs_code: runs.map(({ path, why }) => ({ path: rawPathText(path), why })) }),
    ...(notes.length > 0 && { notes }),
    ...(missing.length > 0 && { not_in_patch: missing }),
  };
}

/** Lists the first 100 changed files, and counts all. */
export function listFiles(changes: readonly TreeChange[]): Pick<ApplyReport, "files" | "file_count"> {
  const files = changes.slice(0, MAX_FILES).map(({ path, oldMode, newMode }) => {
    const kind = oldMode === ABSENT ? "added" : newMode === ABSENT ? "deleted" : "modified";
    return { path: rawPathText(path), kind } as const;
  });
  return { files, file_count: changes.length };
}

/** Adds what a package.json holds, before and after. */
async function withTexts({ scratch, changes }: PreparedChanges, { signal }: { signal: AbortSignal }) {
  const place = scratch.place();
  const read = async (mode: string, id: string): Promise<string> => {
    if (mode === ABSENT || mode === GITLINK) return "";
    const options = { signal, maxOutputBytes: MAX_TEXT_BYTES };
    // What is larger is another text each time.
    return (await git(place, ["cat-file", "blob", id], options).catch(() => Buffer.from(id))).toString();
  };
  return await Promise.all(
    changes.map(async (change) => {
      if (!/(^|\/)package\.json$/i.test(change.path)) return change;
      const { oldMode, oldId, newMode, newId } = change;
      const [before, after] = await Promise.all([read(oldMode, oldId), read(newMode, newId)]);
      return { ...change, texts: { before, after } };
    }),
  );
}
