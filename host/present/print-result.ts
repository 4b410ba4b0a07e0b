import { text } from "node:stream/consumers";
import { checkText } from "./command-text.ts";
import { hang, indent } from "./indent.ts";
import { takeWith } from "./next-step.ts";
import { readablePatch } from "./patch-names.ts";
import { plainText } from "./plain-text.ts";
import { plural } from "./plural.ts";
import { extent, type SessionSummary } from "./session-summary.ts";
import { NOT_TAKEN } from "./taken-text.ts";
import type { Output } from "./terminal.ts";
import { usageText } from "./usage-text.ts";
import { isPatchWithheld } from "./withheld-patch.ts";
import { writePieces } from "./write-pieces.ts";

/**
 * Prints a finished session: its patch, its answer, and what it took. If standard output is no terminal, it gets the
 * patch alone, byte for byte for git apply, and standard error gets the rest: a container's words must not become part
 * of a patch. A patch that contradicts the list of changes is not printed. Returns whether a patch was written whole to
 * something other than a terminal.
 */
export async function printResult(
  summary: SessionSummary,
  patch: AsyncIterable<Uint8Array>,
  { stdout, stderr }: { stdout: Output; stderr: Output },
): Promise<boolean> {
  const terminal = stdout.isTTY === true;
  const withheld = isPatchWithheld(summary);
  let saved = false;
  if (withheld) stderr.write(`The patch is not printed: claudecluster diff --force ${summary.session_id} shows it.\n`);
  else if (!terminal) saved = await writePieces(stdout, patch);
  else if (summary.patch_size_bytes > 0)
    stdout.write(`${indent(readablePatch(plainText(await text(patch))), 2, stdout.columns)}\n`);
  printOutcome(summary, terminal ? stdout : stderr);
  return saved;
}

function printOutcome(summary: SessionSummary, out: Output): void {
  const columns = out.isTTY === true ? out.columns : undefined;
  for (const line of summary.undecided ?? []) out.write(`${line}\n`);
  if (summary.no_answer !== undefined) out.write(`${summary.no_answer}\n\n`);
  if (summary.result !== "") out.write(`${indent(summary.result, 2, columns)}\n\n`);
  for (const change of summary.changes) {
    const line = `${change.kind.padEnd(8)} ${change.path}  ${extent(change)}`;
    out.write(`${indent(line, 2, columns)}\n`);
  }
  if (summary.changes.length > 0) out.write("\n");
  for (const note of summary.patch_notes ?? []) out.write(`patch: ${note}\n`);
  if (summary.check !== undefined) {
    if (!summary.check.passed) out.write(`${indent(summary.check.output, 2, columns)}\n`);
    out.write(`${checkText(summary.check)}\n`);
  }
  out.write(
    `${summary.state}: ${plural(summary.change_count, "file")} changed, ${summary.elapsed_seconds.toFixed(1)} s, ` +
      `${usageText(summary.usage)}\n`,
  );
  for (const line of summary.not_in_patch ?? []) out.write(`${hang("  ", line, columns)}\n`);
  if (summary.taken === NOT_TAKEN && !isPatchWithheld(summary)) {
    out.write(`To take the changes: ${takeWith(summary.session_id)}\n`);
  }
  out.write(`timeline: ${summary.phases.map(({ phase, seconds }) => `${phase} ${seconds.toFixed(2)}s`).join(", ")}\n`);
}
