import { text } from "node:stream/consumers";
import { Artifact_Kind, TakenChanges_Kind } from "../../proto/index.ts";
import { readablePatch } from "../present/patch-names.ts";
import { plainText } from "../present/plain-text.ts";
import { readSummary } from "../present/read-session.ts";
import type { SessionSummary } from "../present/session-summary.ts";
import { NOT_TAKEN } from "../present/taken-text.ts";
import { isPatchWithheld } from "../present/withheld-patch.ts";
import { writePieces } from "../present/write-pieces.ts";
import { noteTaken } from "../results/note-taken.ts";
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
  const printed = await printPatch(summary, patch.read(), { force }, io);
  if (printed.saved) await noteSaved(sessions, summary, io);
  return printed.code || code;
}

/** Notes that a session's patch has gone whole to where standard output leads. What cannot be noted is said. */
export async function noteSaved(
  sessions: Sessions,
  { session_id: id, taken }: Pick<SessionSummary, "session_id" | "taken">,
  { stderr }: Pick<CommandIo, "stderr">,
): Promise<void> {
  if (taken !== NOT_TAKEN) return;
  const failed = await noteTaken(sessions, id, { kind: TakenChanges_Kind.SAVED, place: "standard output" });
  if (failed !== undefined) stderr.write(`${failed}\n`);
}

/**
 * Prints a patch to standard output and what has to be known of it to standard error. A terminal gets it as plain text, a
 * pipe or file byte by byte for git apply. A patch that contradicts the list of changes is printed only with `force`, and
 * the exit code is EXIT.sessionFailed. `saved`: it was written whole to a pipe or file.
 */
export async function printPatch(
  summary: SessionSummary,
  patch: AsyncIterable<Uint8Array>,
  { force }: Pick<DiffOptions, "force">,
  { stdout, stderr }: Pick<CommandIo, "stdout" | "stderr">,
): Promise<{ code: number; saved: boolean }> {
  const withheld = isPatchWithheld(summary);
  if (summary.failure !== undefined && withheld) {
    const { reason, message } = summary.failure;
    stderr.write(`${reason}: ${message}\nDo not apply this patch.${force ? "" : " To look at it: --force."}\n`);
  }
  const saved = (!withheld || force) && (await writePatch(patch, stdout));
  for (const line of summary.patch_notes ?? []) stderr.write(`patch: ${line}\n`);
  for (const line of summary.not_in_patch ?? []) stderr.write(`${line}\n`);
  return { code: withheld ? EXIT.sessionFailed : EXIT.done, saved };
}

async function writePatch(patch: AsyncIterable<Uint8Array>, stdout: CommandIo["stdout"]): Promise<boolean> {
  if (stdout.isTTY !== true) return await writePieces(stdout, patch);
  stdout.write(readablePatch(plainText(await text(patch))));
  return false;
}
