import { AppError, cutChars } from "../../proto/index.ts";
import { checkText } from "../present/command-text.ts";
import { oneLine } from "../present/plain-text.ts";
import { plural } from "../present/plural.ts";
import { conflictsText } from "../results/apply-report.ts";
import { compareSessions, type ComparisonReport } from "../results/compare-sessions.ts";
import type { Sessions } from "../session/sessions.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { printJson } from "./print-json.ts";

/** So much of a task stands behind an id. */
const MAX_TASK_CHARS = 60;

/**
 * Compares what sessions have changed: prints which files several have changed, what conflicts, and the best order. Returns
 * EXIT.conflicts if any conflict. Throws LIMIT_INVALID for fewer than two sessions, and as compareSessions.
 */
export async function compareCommand(
  sessions: Sessions,
  { sessionIds, directory }: { sessionIds: readonly string[]; directory: string },
  { json, stateDirectory }: { json: boolean; stateDirectory: string },
  { stdout, signal }: CommandIo,
): Promise<number> {
  if (sessionIds.length < 2) {
    throw new AppError("LIMIT_INVALID", "One session alone has nothing to be compared with.", {
      help: "Name two or more.",
    });
  }
  const report = await compareSessions(sessions, { sessionIds, directory }, { stateDirectory, signal });
  if (json) printJson(stdout, report);
  else stdout.write(comparisonText(report));
  return report.overlaps.some(({ conflicts }) => conflicts !== undefined) ? EXIT.conflicts : EXIT.done;
}

function comparisonText({ sessions, overlaps, order, left_out: leftOut = [] }: ComparisonReport): string {
  const lines = sessions.map(
    ({ session_id: id, task, file_count: count, check }) =>
      `${id}  ${plural(count, "file").padEnd(9)} ${check === undefined ? "" : `${checkText(check)}  `}${cutChars(oneLine(task), MAX_TASK_CHARS)}`,
  );
  for (const { session_id: id, why } of leftOut) lines.push(`${id}  left out: ${oneLine(why)}`);
  if (overlaps.length === 0) lines.push("No two have changed the same file.");
  for (const { session_ids: ids, paths, path_count: count, conflicts } of overlaps) {
    const more = count > paths.length ? ` and ${count - paths.length} more` : "";
    const merged = conflicts === undefined ? ", which go together" : "";
    lines.push(
      "",
      `${ids.join(" and ")}: ${count === 0 ? "not the same files" : `both ${paths.join(", ")}${more}`}${merged}`,
    );
    if (conflicts !== undefined) lines.push(conflictsText(conflicts).trimEnd());
  }
  lines.push("", "Best taken in this order:");
  for (const { session_id: id, conflicts } of order) {
    lines.push(
      `  claudecluster apply ${id}${conflicts === undefined ? "" : `  (then conflicts in ${conflicts.join(", ")})`}`,
    );
  }
  return `${lines.join("\n")}\n`;
}
