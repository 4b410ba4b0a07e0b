import type { SessionSummary } from "./session-summary.ts";
import { plainText } from "./plain-text.ts";

/** Prints a finished session for a person: the patch, the answer, and what it took. */
export function printResult(summary: SessionSummary, patch: Uint8Array, out: NodeJS.WritableStream): void {
  if (patch.length > 0) out.write(`${plainText(new TextDecoder().decode(patch))}\n`);
  if (summary.result !== "") out.write(`${summary.result}\n\n`);
  for (const change of summary.changes) {
    out.write(`  ${change.kind.padEnd(8)} ${change.path}  +${change.added_lines} -${change.deleted_lines}\n`);
  }
  const { usage } = summary;
  out.write(
    `\n${summary.state}: ${summary.change_count} files changed, ${summary.elapsed_seconds.toFixed(1)} s, ` +
      `${usage.input_tokens} tokens in, ${usage.output_tokens} out, $${usage.cost_usd.toFixed(4)}\n`,
  );
  out.write(`timeline: ${summary.phases.map(({ phase, seconds }) => `${phase} ${seconds.toFixed(2)}s`).join(", ")}\n`);
}
