import type { McpServer } from "@modelcontextprotocol/server";
import type { ServerLog } from "./server-log.ts";
import * as z from "zod";
import { resolveEach, resolveSession } from "../session/resolve-session.ts";
import type { Sessions } from "../session/sessions.ts";
import { applyConflictsText, applyText, comparisonText, undoText } from "./apply-text.ts";
import { toolArguments } from "./tool-arguments.ts";
import { answering, textResult } from "./tool-result.ts";

/** Loads all that the tools use, which a client's first answers do not wait for. */
export async function loadApply() {
  const [{ ApplyConflictsError }, { showConflict }, { applySession }, { compareSessions }, { undoSession }] =
    await Promise.all([
      import("../repository/apply-conflicts.ts"),
      import("../results/apply-report.ts"),
      import("../results/apply-session.ts"),
      import("../results/compare-sessions.ts"),
      import("../results/undo-session.ts"),
    ]);
  return { ApplyConflictsError, showConflict, applySession, compareSessions, undoSession };
}

/** Options of the tools that apply results. */
export interface ApplyToolsOptions {
  sessions: Sessions;
  logger: ServerLog;
  /** Returns the parent's project: any directory of its work tree. */
  projectDirectory: (options: { signal: AbortSignal }) => Promise<string>;
  /** State directory of this program, where what was applied is remembered. */
  stateDirectory: string;
}

/**
 * Registers the tools apply_changes, compare_sessions and undo_changes, which work in the parent's repository. Only for a
 * parent on this machine.
 */
export function registerApplyTools(server: McpServer, options: ApplyToolsOptions): void {
  const { sessions, logger, projectDirectory, stateDirectory } = options;
  server.registerTool(
    "apply_changes",
    {
      title: "Apply a session's changes",
      description:
        "Takes what a finished session has changed into your project's repository: by default as a new branch that you can merge, and nothing else is touched; with worktree: true merged into the files as they are now, uncommitted work included, all of it or nothing. Review the patch first, and ask your user before anything of runs_code gets into the files: see it with dry_run: true. Conflicts are returned with their lines, and nothing is written then. undo_changes takes it back.",
      inputSchema: toolArguments({
        session_id: z.string().describe("The session's id."),
        worktree: z.boolean().optional().describe("true: into the files. Default: a branch."),
        stage: z.boolean().optional().describe("Into the files, and staged too. Default: false."),
        branch: z.string().optional().describe("The branch's name. Default: made from the task."),
        commits: z
          .boolean()
          .optional()
          .describe(
            "true: the branch has the commits that Claude made, what was not committed as one more, and stashes, other branches and worktrees get branches beside it. Default: one commit.",
          ),
        ref: z
          .string()
          .optional()
          .describe("A stash, branch or worktree of Claude's, as not_in_patch names it: a branch for it alone."),
        paths: z.array(z.string()).optional().describe("Only what is at or below these, from the project's directory."),
        dry_run: z.boolean().optional().describe("true: say what would be done, with conflicts, and do nothing."),
      }),
      annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: false },
    },
    (input, context) =>
      answering(logger, async () => {
        const { signal } = context.mcpReq;
        const {
          session_id: given,
          stage = false,
          worktree = false,
          branch,
          paths = [],
          dry_run: dryRun = false,
          commits = false,
          ref,
        } = input;
        const { applySession, ApplyConflictsError, showConflict } = await loadApply();
        const sessionId = await resolveSession(sessions, given);
        const directory = await projectDirectory({ signal });
        const as = worktree || stage ? "worktree" : "branch";
        try {
          const request = { sessionId, directory, as, branch, stage, commits, ref, paths, dryRun } as const;
          const report = await applySession(sessions, request, { stateDirectory, signal });
          return textResult(applyText(report), report);
        } catch (error) {
          if (!(error instanceof ApplyConflictsError)) throw error;
          const conflicts = error.conflicts.map(showConflict);
          const why = error.toSentence();
          const answer = { session_id: sessionId, applied: "nothing", error: why, conflicts };
          return { ...textResult(applyConflictsText(sessionId, error.message, conflicts), answer), isError: true };
        }
      }),
  );

  server.registerTool(
    "compare_sessions",
    {
      title: "Compare sessions",
      description:
        "Compares what finished sessions have changed, by merging it in memory: which files several have changed, what will not go together, and in which order the results are best applied. Nothing is written.",
      inputSchema: toolArguments({
        session_ids: z.array(z.string()).min(2).max(50).describe("The sessions, two or more."),
      }),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    ({ session_ids: given }, context) =>
      answering(logger, async () => {
        const { compareSessions } = await loadApply();
        const sessionIds = await resolveEach(sessions, given);
        const { signal } = context.mcpReq;
        const directory = await projectDirectory({ signal });
        const report = await compareSessions(sessions, { sessionIds, directory }, { stateDirectory, signal });
        return textResult(comparisonText(report), report);
      }),
  );

  server.registerTool(
    "undo_changes",
    {
      title: "Undo an apply",
      description:
        "Takes back the last apply_changes in your project's repository, or the last of a session: files and index are as before, a branch is removed. Nothing is done, and the files are named, where something was changed since; of an apply that had been broken off the rest is taken back.",
      inputSchema: toolArguments({
        session_id: z.string().optional().describe("Of which session. Default: whatever was applied last."),
      }),
      annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: false },
    },
    ({ session_id: given }, context) =>
      answering(logger, async () => {
        const { undoSession } = await loadApply();
        const sessionId = given === undefined ? undefined : await resolveSession(sessions, given);
        const { signal } = context.mcpReq;
        const directory = await projectDirectory({ signal });
        const report = await undoSession(sessions, { sessionId, directory }, { stateDirectory, signal });
        return textResult(undoText(report), report);
      }),
  );
}
