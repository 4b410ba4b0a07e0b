import type { SessionSummary } from "./session-summary.ts";
import { plainText } from "./plain-text.ts";
import { plural } from "./plural.ts";
import { usageText } from "./usage-text.ts";

/**
 * Prints a finished session: the patch, the answer, and what it took. The patch is printed as it is
 * where no terminal could be fooled by it, so that it can be piped into git apply.
 */
export function printResult(summary: SessionSummary, patch: Uint8Array, out: NodeJS.WritableStream): void {
  const terminal = "isTTY" in out && out.isTTY === true;
  if (patch.length > 0) {
    out.write(terminal ? plainText(new TextDecoder().decode(patch)) : patch);
    out.write("\n");
  }
  if (summary.result !== "") out.write(`${summary.result}\n\n`);
  for (const change of summary.changes) {
    out.write(`  ${change.kind.padEnd(8)} ${change.path}  +${change.added_lines} -${change.deleted_lines}\n`);
  }
  if (summary.changes.length > 0) out.write("\n");
  out.write(
    `${summary.state}: ${plural(summary.change_count, "file")} changed, ${summary.elapsed_seconds.toFixed(1)} s, ` +
      `${usageText(summary.usage)}\n`,
  );
  out.write(`timeline: ${summary.phases.map(({ phase, seconds }) => `${phase} ${seconds.toFixed(2)}s`).join(", ")}\n`);
}
