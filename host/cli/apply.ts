import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { AppError, TakenChanges_Kind } from "../../proto/index.ts";
import { nameSome } from "../name-some.ts";
import { plural } from "../present/plural.ts";
import { ApplyConflictsError } from "../repository/apply-conflicts.ts";
import { type ApplyReport, conflictsText, showConflict } from "../results/apply-report.ts";
import { applySession, type ApplyRequest } from "../results/apply-session.ts";
import { undoSession } from "../results/undo-session.ts";
import { noteTaken } from "../results/note-taken.ts";
import { readSessionChanges } from "../results/session-patch.ts";
import type { Sessions } from "../session/sessions.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { printJson } from "./print-json.ts";

/**
 * Applies a session's result to the repository of the request, and prints what was done. Returns EXIT.conflicts if a dry
 * run has conflicts. Throws as applySession; on conflicts it prints them first.
 */
export async function applyCommand(
  sessions: Sessions,
  request: ApplyRequest,
  { json, stateDirectory }: { json: boolean; stateDirectory: string },
  { stdout, stderr, signal }: CommandIo,
): Promise<number> {
  // What would run is said before anything is there that could.
  const onPrepared = json ? undefined : (report: ApplyReport) => sayBefore(report, stderr);
  try {
    const report = await applySession(sessions, request, { stateDirectory, signal, ...(onPrepared && { onPrepared }) });
    if (json) printJson(stdout, report);
    else {
      if (report.applied === "nothing") sayBefore(report, stderr);
      stdout.write(applyText(report));
    }
    return report.applied === "nothing" && report.conflicts !== undefined ? EXIT.conflicts : EXIT.done;
  } catch (error) {
    if (error instanceof ApplyConflictsError) {
      const conflicts = error.conflicts.map(showConflict);
      if (json) printJson(stdout, { session_id: request.sessionId, applied: "nothing", conflicts });
      else stdout.write(conflictsText(conflicts));
    }
    throw error;
  }
}

/** Takes back the last apply to the repository that `directory` is in, or the last of a session. Throws as undoSession. */
export async function undoCommand(
  sessions: Sessions,
  {
    sessionId,
    directory,
    json,
    stateDirectory,
  }: {
    sessionId: string | undefined;
    directory: string;
    json: boolean;
    stateDirectory: string;
  },
  { stdout, stderr, signal }: CommandIo,
): Promise<number> {
  const report = await undoSession(sessions, { sessionId, directory }, { stateDirectory, signal });
  if (json) printJson(stdout, report);
  else {
    const what =
      report.branch === undefined ? `${plural(report.file_count, "file")} as before` : `no branch ${report.branch}`;
    const unfinished = report.unfinished === true ? ", which had been broken off" : "";
    stdout.write(`Took back ${report.session_id}${unfinished}: ${what}.\n`);
    for (const { path, before } of report.left_as_they_are ?? []) {
      const copy = before === undefined ? "It was not there before." : `As it was before: ${before}`;
      stdout.write(`${path} was changed since, and is left as it is. ${copy}\n`);
    }
    if (report.not_noted !== undefined) stderr.write(`${report.not_noted}\n`);
  }
  return EXIT.done;
}

/**
 * Writes a session's patch to a new file. Throws FILE_UNUSABLE if the file exists, PATCH_MISMATCH if the patch is not what the
 * list of changes says, NOT_FOUND, SESSION_NOT_FINISHED.
 */
export async function savePatchCommand(
  sessions: Sessions,
  { sessionId, file, stateDirectory }: { sessionId: string; file: string; stateDirectory: string },
  { stdout, stderr }: CommandIo,
): Promise<number> {
  const { changes } = await readSessionChanges(sessions, sessionId, { stateDirectory });
  try {
    await using out = await open(file, "wx", 0o644);
    await out.writeFile(changes.patch);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    throw new AppError("FILE_UNUSABLE", `${file} is there already.`, { help: "Name another file.", cause });
  }
  stdout.write(`${file}: ${plural(changes.listed.changeCount, "file")}, for git apply.\n`);
  const failed = await noteTaken(sessions, sessionId, { kind: TakenChanges_Kind.SAVED, place: resolve(file) });
  if (failed !== undefined) stderr.write(`${failed}\n`);
  return EXIT.done;
}

function sayBefore(
  { runs_code: runs = [], notes = [], not_in_patch: missing = [] }: ApplyReport,
  stderr: CommandIo["stderr"],
) {
  if (runs.length > 0) stderr.write("Runs on your machine, or decides what runs there:\n");
  for (const { path, why } of runs) stderr.write(`  ${path}: ${why}\n`);
  for (const line of notes) stderr.write(`patch: ${line}\n`);
  for (const line of missing) stderr.write(`${line}\n`);
}

/** The report of an apply as lines for people, and how to take it back. */
function applyText(report: ApplyReport): string {
  const {
    applied,
    branch,
    files,
    file_count: count,
    conflicts = [],
    submodules = [],
    in_submodules: inside = [],
    staged,
  } = report;
  const lines = files.map(({ path, kind }) => `  ${kind.padEnd(8)} ${path}`);
  if (count > files.length) lines.push(`  … and ${count - files.length} more`);
  if (applied === "branch") {
    const start = report.start_commit_id === undefined ? "" : ` on ${report.start_commit_id.slice(0, 12)}`;
    const { commit_count: own = 0, other_branches: others = [], refs_missing: missing = [] } = report;
    const what = own === 0 ? `${plural(count, "file")} in one commit` : `${plural(own, "commit")} of Claude's`;
    const again = report.already === true ? ", as before" : "";
    if (count > 0 || own > 0) lines.unshift(`${branch}: ${what}${own === 0 ? start : ""}${again}`);
    for (const { ref, branch, commit_count } of others)
      lines.push(`${branch}: ${plural(commit_count, "commit")} (${ref})`);
    for (const { ref, why } of missing) lines.push(`Not taken, ${ref}: ${why}`);
    if (report.pushed_to !== undefined)
      lines.push(`Pushed to ${report.pushed_to}; what is there stays also after an undo.`);
    if (report.pull_request !== undefined) lines.push(`Pull request, as a draft: ${report.pull_request}`);
    lines.push(`To take it: git merge ${branch}. To drop it: claudecluster undo.`);
  } else if (applied === "worktree") {
    lines.unshift(`${report.repository}: ${plural(count, "file")} changed${staged === true ? " and staged" : ""}`);
    lines.push("To take it back: claudecluster undo.");
  } else lines.unshift(`${report.repository}: ${plural(count, "file")} would change`);
  if (report.not_noted !== undefined) lines.push(report.not_noted);
  for (const path of submodules)
    lines.push(`The submodule ${path} is to be at another commit: its files were left alone.`);
  if (inside.length > 0)
    lines.push(`Not in it, for they are files of submodules (--worktree takes them): ${nameSome(inside)}`);
  if (conflicts.length > 0) {
    lines.push(`Does not go together with your files as they are now: ${conflicts.map(({ path }) => path).join(", ")}`);
  }
  return `${lines.join("\n")}\n${applied === "nothing" ? conflictsText(conflicts) : ""}`;
}
