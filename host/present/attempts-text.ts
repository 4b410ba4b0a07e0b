import { dollars } from "../../proto/index.ts";
import { checkText } from "./command-text.ts";
import { takeWith } from "./next-step.ts";
import { plural } from "./plural.ts";
import type { SessionSummary } from "./session-summary.ts";

/** Attempts of several sessions at the same task, as plain JSON: the best first. */
export interface AttemptsReport {
  attempts: {
    session_id: string;
    state: string;
    /** How the check ended, such as "check passed, 3.1 s". Absent: there was none, or it was not run. */
    check?: string;
    passed: boolean;
    change_count: number;
    added_lines: number;
    deleted_lines: number;
    cost_usd?: number;
    elapsed_seconds: number;
  }[];
  /** Command that takes the best attempt. Absent: none has succeeded, passed its check and changed anything. */
  next?: string;
}

/** Compares attempts at a task: first those that succeeded and passed their check, then those that changed less, then those that cost less. */
export function compareAttempts(summaries: readonly SessionSummary[]): AttemptsReport {
  const attempts = summaries.map(({ session_id, state, check, changes, change_count, usage, elapsed_seconds }) => ({
    session_id,
    state,
    ...(check !== undefined && { check: checkText(check) }),
    passed: state === "succeeded" && check?.passed !== false && change_count > 0,
    change_count,
    added_lines: changes.reduce((sum, { added_lines: count }) => sum + count, 0),
    deleted_lines: changes.reduce((sum, { deleted_lines: count }) => sum + count, 0),
    ...(usage?.cost_usd !== undefined && { cost_usd: usage.cost_usd }),
    elapsed_seconds,
  }));
  const size = (each: (typeof attempts)[number]) => each.added_lines + each.deleted_lines;
  attempts.sort(
    (a, b) => Number(b.passed) - Number(a.passed) || size(a) - size(b) || (a.cost_usd ?? 0) - (b.cost_usd ?? 0),
  );
  const best = attempts[0];
  return { attempts, ...(best?.passed === true && { next: takeWith(best.session_id) }) };
}

/** Returns attempts as a table, with the command that takes the best one. */
export function attemptsText({ attempts, next }: AttemptsReport): string {
  const rows = attempts.map((each) => [
    each.session_id,
    each.state,
    each.check ?? "no check",
    `${plural(each.change_count, "file")} +${each.added_lines} -${each.deleted_lines}`,
    each.cost_usd === undefined ? "" : dollars(each.cost_usd),
    `${each.elapsed_seconds.toFixed(1)} s`,
  ]);
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n\n${next === undefined ? "None is to be taken unseen." : `To take the first: ${next}`}\n`;
}
