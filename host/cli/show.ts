import { printSession } from "../present/print-session.ts";
import { plainText } from "../present/plain-text.ts";
import { readAnswer, readSummary } from "../present/read-session.ts";
import { sessionEntry } from "../present/session-entry.ts";
import type { Sessions } from "../session/sessions.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { printJson } from "./print-json.ts";

/** Prints one session as it is now: for people, or as JSON. Throws NOT_FOUND. */
export async function showCommand(
  sessions: Sessions,
  sessionId: string,
  { json }: { json: boolean },
  io: CommandIo,
): Promise<number> {
  const { session, summary } = await readSummary(sessions, sessionId);
  if (json) printJson(io.stdout, { ...sessionEntry(session), ...summary });
  else printSession(session, summary, io);
  return EXIT.done;
}

/**
 * Prints Claude's last answer alone and whole; of a live session that of the last turn. A terminal gets plain text, a pipe or
 * file every byte. Throws NOT_FOUND.
 */
export async function showAnswerCommand(
  sessions: Sessions,
  sessionId: string,
  { json }: { json: boolean },
  { stdout, stderr }: CommandIo,
): Promise<number> {
  const { text: answer, truncated } = await readAnswer(sessions, sessionId);
  if (json) printJson(stdout, { session_id: sessionId, answer, answer_truncated: truncated });
  else if (answer !== "") stdout.write(`${stdout.isTTY === true ? plainText(answer) : answer}\n`);
  if (truncated) stderr.write("The answer was longer: this is its start.\n");
  return EXIT.done;
}
