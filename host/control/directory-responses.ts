import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  ApplyChangesRequest_Target as Target,
  type ApplyChangesResponseSchema,
  type CompareSessionsResponseSchema,
  type UndoApplyResponseSchema,
} from "../../proto/control.ts";
import { FileChange_Kind as Kind } from "../../proto/index.ts";
import type { ApplyReport } from "../results/apply-report.ts";
import type { ComparisonReport } from "../results/compare-sessions.ts";
import type { UndoReport } from "../results/undo-session.ts";

const KINDS = { added: Kind.ADDED, modified: Kind.MODIFIED, deleted: Kind.DELETED };
const TARGETS = { nothing: Target.UNSPECIFIED, branch: Target.BRANCH, worktree: Target.WORK_TREE };

/** Returns the report on an apply as callers get it. */
export function toApplyResponse(report: ApplyReport): MessageInitShape<typeof ApplyChangesResponseSchema> {
  const { repository, runs_code = [], conflicts = [], notes = [], commit_count: commitCount } = report;
  return {
    applied: TARGETS[report.applied],
    repository,
    files: report.files.map(({ path, kind }) => ({ path, kind: KINDS[kind] })),
    fileCount: report.file_count,
    runsCode: runs_code.map(({ path, why }) => ({ name: path, why })),
    conflicts,
    notes,
    missing: report.not_in_patch ?? [],
    branch: report.branch ?? "",
    commitId: report.commit_id ?? "",
    already: report.already ?? false,
    ...(commitCount !== undefined && { commitCount }),
    otherBranches: (report.other_branches ?? []).map(({ ref, branch, commit_count }) => {
      return { ref, branch, commitCount: commit_count };
    }),
    refsMissing: (report.refs_missing ?? []).map(({ ref, why }) => ({ name: ref, why })),
    staged: report.staged ?? false,
    submodules: report.submodules ?? [],
    submoduleFiles: report.in_submodules ?? [],
    noteProblem: report.not_noted ?? "",
  };
}

/** Returns the report on an undo as callers get it. */
export function toUndoResponse(report: UndoReport): MessageInitShape<typeof UndoApplyResponseSchema> {
  return {
    repository: report.repository,
    branch: report.branch ?? "",
    fileCount: report.file_count,
    left: (report.left_as_they_are ?? []).map(({ path, before = "" }) => ({ name: path, why: before })),
    noteProblem: report.not_noted ?? "",
  };
}

/** Returns a comparison as callers get it, without the ranking. */
export function toComparison(report: ComparisonReport): MessageInitShape<typeof CompareSessionsResponseSchema> {
  return {
    overlaps: report.overlaps.map(({ session_ids, paths, path_count, conflicts = [] }) => {
      return { sessionIds: session_ids, paths, pathCount: path_count, conflicts };
    }),
    orderedSessionIds: report.order.map(({ session_id }) => session_id),
    leftOut: (report.left_out ?? []).map(({ session_id, why }) => ({ name: session_id, why })),
  };
}
