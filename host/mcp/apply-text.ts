import { checkText } from "../present/command-text.ts";
import { oneLine } from "../present/plain-text.ts";
import { plural } from "../present/plural.ts";
import { CONTAINER_TEXT_NOTE } from "../present/session-summary.ts";
import { type ApplyReport, conflictsText, type ShownConflict } from "../results/apply-report.ts";
import type { ComparisonReport } from "../results/compare-sessions.ts";
import type { UndoReport } from "../results/undo-session.ts";
import { paragraphs, section } from "./session-text.ts";

/** As much of the conflicting lines is in an answer (UTF-16 units). */
const MAX_CONFLICTS_CHARS = 20_000;
const MAX_TASK_CHARS = 100;

/** Returns what an apply did, or would do, as a model reads it: that first, then what to know of it, then the call that comes next. */
export function applyText(report: ApplyReport): string {
  const { files, file_count: count, conflicts = [], submodules = [], in_submodules: inside = [] } = report;
  const { refs_missing: missing = [], other_branches: others = [], not_noted: notNoted = "" } = report;
  const named = files.map(({ kind, path }) => `${kind} ${path}`);
  if (count > files.length) named.push(`and ${count - files.length} more`);
  return paragraphs([
    applyHeadline(report),
    CONTAINER_TEXT_NOTE,
    section("runs on the user's machine, or decides what runs there: ask before it gets into the files", [
      ...(report.runs_code ?? []).map(({ path, why }) => `${path}: ${why}`),
    ]),
    section("files", named),
    section("branches beside it", [
      ...others.map(({ ref, branch, commit_count: of }) => `${branch}: ${plural(of, "commit")} of ${ref}`),
      ...missing.map(({ ref, why }) => `not taken, ${ref}: ${why}`),
    ]),
    section("about the patch", [...(report.notes ?? []), ...(report.not_in_patch ?? [])]),
    section("submodules that are to be at another commit; their files were left alone", submodules),
    section("not in the branch, for they are files of submodules; worktree: true takes them", inside),
    conflicting(conflicts),
    notNoted,
    `next: ${applyNext(report)}`,
  ]);
}

function applyHeadline(report: ApplyReport): string {
  const { session_id: id, applied, repository, branch, staged, commit_count: own = 0, file_count: count } = report;
  const what = own === 0 ? plural(count, "file") : `${plural(own, "commit")} of Claude's`;
  const again = report.already === true ? ", as before" : "";
  const commit = report.commit_id === undefined ? "" : ` (${report.commit_id.slice(0, 12)})`;
  if (applied === "branch") return `Session ${id} is branch ${branch ?? ""}${commit} of ${repository}: ${what}${again}`;
  if (applied === "nothing") return `Dry run, nothing was done: session ${id} would change ${what} of ${repository}`;
  return `Session ${id} is in the files of ${repository}: ${what} changed${staged === true ? " and staged" : ""}`;
}

function applyNext({ session_id: id, applied, branch, conflicts }: ApplyReport): string {
  const back = `undo_changes {"session_id":"${id}"} takes it back.`;
  if (applied === "worktree") return back;
  if (applied === "branch") return `git merge ${branch ?? ""} takes it in. ${back}`;
  const call = `apply_changes {"session_id":"${id}"}`;
  return conflicts === undefined
    ? `${call} makes a branch of it; with "worktree":true it goes into the files.`
    : `${call} makes a branch of it, for a merge by hand.`;
}

/** Returns why an apply did not go together with the user's files, as a model reads it. */
export function applyConflictsText(id: string, why: string, conflicts: readonly ShownConflict[]): string {
  const next = `next: nothing was written. apply_changes {"session_id":"${id}"} makes a branch of it, for a merge by hand.`;
  return paragraphs([`APPLY_CONFLICTS: ${oneLine(why)}`, CONTAINER_TEXT_NOTE, conflicting(conflicts), next]);
}

/** Returns what was taken back, as a model reads it. */
export function undoText(report: UndoReport): string {
  const { session_id: id, repository, branch, left_as_they_are: left = [], not_noted: notNoted = "" } = report;
  const what = branch === undefined ? `${plural(report.file_count, "file")} as before` : `branch ${branch} is gone`;
  const unfinished = report.unfinished === true ? ", whose apply had been broken off" : "";
  return paragraphs([
    `Took back session ${id}${unfinished}, in ${repository}: ${what}.`,
    section("changed since, and left as they are", [
      ...left.map(
        ({ path, before }) => `${path} (${before === undefined ? "not there before" : `as it was before: ${before}`})`,
      ),
    ]),
    notNoted,
    `next: apply_changes {"session_id":"${id}"} takes it in again.`,
  ]);
}

/** Returns a comparison of sessions as a model reads it: the best order first, then what overlaps. */
export function comparisonText({ sessions, overlaps, order, left_out: leftOut = [] }: ComparisonReport): string {
  const about = new Map(sessions.map((session) => [session.session_id, session]));
  const lines = order.map(({ session_id: id, conflicts = [] }) => {
    const { task = "", file_count: count = 0, check } = about.get(id) ?? {};
    const facts = [plural(count, "file"), ...(check === undefined ? [] : [checkText(check)])];
    const then = conflicts.length === 0 ? "" : `; then conflicts in ${conflicts.join(", ")}`;
    return `${id} ${facts.join(", ")}${then}\n  ${oneLine(task, MAX_TASK_CHARS)}`;
  });
  return paragraphs([
    section("best taken in this order, each with apply_changes", lines),
    CONTAINER_TEXT_NOTE,
    section("left out", [...leftOut.map(({ session_id: id, why }) => `${id}: ${oneLine(why)}`)]),
    section("changed by two", [
      ...overlaps.map(({ session_ids: ids, paths, path_count: count, conflicts }) => {
        const more = count > paths.length ? ` and ${count - paths.length} more` : "";
        return `${ids.join(" and ")}: ${paths.join(", ")}${more}${conflicts === undefined ? ", which go together" : ""}`;
      }),
    ]),
    overlaps.length === 0 ? "No two have changed the same file." : "",
    conflicting(overlaps.flatMap(({ conflicts = [] }) => conflicts)),
  ]);
}

function conflicting(conflicts: readonly ShownConflict[]): string {
  if (conflicts.length === 0) return "";
  const text = conflictsText(conflicts).trimEnd();
  if (text.length <= MAX_CONFLICTS_CHARS) return text;
  const names = conflicts.map(({ path }) => path);
  return `${text.slice(0, MAX_CONFLICTS_CHARS)}\n[cut; all files in conflict: ${oneLine(names.join(", "), 4000)}]`;
}
