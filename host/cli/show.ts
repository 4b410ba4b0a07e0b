import { printSession } from "../present/print-session.ts";
import { readSummary } from "../present/read-session.ts";
import { sessionEntry } from "../present/session-entry.ts";
import type { Sessions } from "../session/sessions.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { printJson } from "./print-json.ts";

/** Shows one session as it is now. */
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
