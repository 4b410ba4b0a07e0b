import { plainText } from "../present/plain-text.ts";
import { readSummary } from "../present/read-session.ts";
import type { Sessions } from "../session/sessions.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { printJson } from "./print-json.ts";

/**
 * Prints a session's patch, as it is now or as it was left: byte by byte where no terminal could be
 * fooled by it, so that it can be piped into git apply. With `json`, the changed files.
 */
export async function diffCommand(
  sessions: Sessions,
  sessionId: string,
  { json }: { json: boolean },
  io: CommandIo,
): Promise<number> {
  const { summary, patch } = await readSummary(sessions, sessionId);
  if (json) {
    const { session_id, state, changes, change_count, patch_size_bytes, patch_incomplete = false } = summary;
    const { not_in_patch = [] } = summary;
    const value = { session_id, state, changes, change_count, patch_size_bytes, patch_incomplete, not_in_patch };
    printJson(io.stdout, value);
    return EXIT.done;
  }
  io.stdout.write(io.stdout.isTTY === true ? plainText(new TextDecoder().decode(patch)) : patch);
  for (const line of summary.not_in_patch ?? []) io.stderr.write(`${line}\n`);
  return EXIT.done;
}
