import { text } from "node:stream/consumers";
import { Artifact_Kind } from "../../proto/index.ts";
import { plainText } from "../present/plain-text.ts";
import { readSummary } from "../present/read-session.ts";
import type { SessionSummary } from "../present/session-summary.ts";
import { isPatchWithheld } from "../present/withheld-patch.ts";
import { writePieces } from "../present/write-pieces.ts";
import type { Sessions } from "../session/sessions.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { printJson } from "./print-json.ts";

/** Options of the diff that is printed. */
export interface DiffOptions {
  /** Print the changed files as JSON instead. */
  json: boolean;
  /** Print also a patch that contradicts the session's list of changes. */
  force: boolean;
}

/**
 * Prints a session's patch, as it is now or as it was left. With `json`, the changed files. Returns EXIT.environment while the
 * newest changes are missing because the session waits for something. Throws NOT_FOUND.
 */
export async function diffCommand(
  sessions: Sessions,
  sessionId: string,
  { json, force }: DiffOptions,
  io: CommandIo,
): Promise<number> {
  const { summary } = await readSummary(sessions, sessionId);
  const { waiting } = summary;
  if (waiting !== undefined) io.stderr.write(`What was changed of late is missing here. Waiting: ${waiting}.\n`);
  const code = waiting === undefined ? EXIT.done : EXIT.environment;
  if (json) {
    const { session_id, state, changes, change_count, patch_size_bytes } = summary;
    const patch_incomplete = summary.patch_incomplete === true || waiting !== undefined;
    const { not_in_patch = [] } = summary;
    const value = { session_id, state, changes, change_count, patch_size_bytes, patch_incomplete, not_in_patch };
    printJson(io.stdout, value);
    return code;
  }
  using patch = await sessions.openArtifact(sessionId, Artifact_Kind.PATCH);
  return (await printPatch(summary, patch.read(), { force }, io)) || code;
}

/**
 * Prints a patch to standard output and what has to be known of it to standard error. A terminal gets it as plain text, a
 * pipe or file byte by byte for git apply. A patch that contradicts the list of changes is printed only with `force`, and
 * the exit code is EXIT.sessionFailed.
 */
export async function printPatch(
  summary: SessionSummary,
  patch: AsyncIterable<Uint8Array>,
  { force }: Pick<DiffOptions, "force">,
  { stdout, stderr }: Pick<CommandIo, "stdout" | "stderr">,
): Promise<number> {
  const withheld = isPatchWithheld(summary);
  if (summary.failure !== undefined && withheld) {
    const { reason, message } = summary.failure;
    stderr.write(`${reason}: ${message}\nDo not apply this patch.${force ? "" : " To look at it: --force."}\n`);
  }
  if (!withheld || force) await writePatch(patch, stdout);
  for (const line of summary.patch_notes ?? []) stderr.write(`patch: ${line}\n`);
  for (const line of summary.not_in_patch ?? []) stderr.write(`${line}\n`);
  return withheld ? EXIT.sessionFailed : EXIT.done;
}

async function writePatch(patch: AsyncIterable<Uint8Array>, stdout: CommandIo["stdout"]): Promise<void> {
  if (stdout.isTTY === true) stdout.write(plainText(await text(patch)));
  else await writePieces(stdout, patch);
}
