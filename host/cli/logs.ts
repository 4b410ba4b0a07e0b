import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { SessionEvent } from "../../proto/index.ts";
import { SessionProgress } from "../present/session-progress.ts";
import { painterFor } from "../present/terminal.ts";
import type { Sessions } from "../session/sessions.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { printEvents } from "./watch.ts";

/** Options of the log that is printed. */
export interface LogsOptions {
  /** Go on until the session has finished. Otherwise it ends with the newest event. */
  follow: boolean;
  json: boolean;
}

/**
 * Prints a session's log: a line for each event that people need to see, or every event as JSON. Returns EXIT.canceled after
 * a signal. Throws NOT_FOUND.
 */
export async function logsCommand(
  sessions: Sessions,
  sessionId: string,
  { follow, json }: LogsOptions,
  io: CommandIo,
): Promise<number> {
  const { lastSequence } = await sessions.get(sessionId);
  const until = follow ? Infinity : lastSequence;
  if (json) {
    await printEvents(sessions, sessionId, { afterSequence: 0, until, signal: io.signal }, io);
    return io.signal.aborted ? EXIT.canceled : EXIT.done;
  }
  const paint = painterFor(io.stdout, io.env);
  const progress = new SessionProgress(sessionId);
  const print = (event: SessionEvent) => {
    const line = progress.add(event);
    const time = event.occurTime === undefined ? "" : timestampDate(event.occurTime).toISOString();
    if (line !== undefined && line !== "") io.stdout.write(`${paint("dim", time)}  ${line}\n`);
  };
  for await (const batch of sessions.watch(sessionId, { afterSequence: 0, signal: io.signal })) {
    for (const event of batch) if (event.sequence <= until) print(event);
    if (batch.at(-1)!.sequence >= until) break;
  }
  return io.signal.aborted ? EXIT.canceled : EXIT.done;
}
