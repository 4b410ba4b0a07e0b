import { Artifact_Kind, Session_State } from "../../proto/index.ts";
import { printResult } from "../present/print-result.ts";
import { readSummary } from "../present/read-session.ts";
import { sentText } from "../present/sent-text.ts";
import type { CreateSessionRequest, Sessions } from "../session/sessions.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { noteSaved } from "./diff.ts";
import { exitCodeOfState } from "./exit-codes.ts";
import { followSessions } from "./follow.ts";
import { printJson } from "./print-json.ts";

/** Options of a run on the command line. */
export interface RunOptions {
  /** Print the id and leave the session to itself. */
  detach: boolean;
  /** Print the result, or the id, as JSON. */
  json: boolean;
}

/**
 * Runs a session to its end: progress on stderr, the result on stdout. Ctrl-C ends the session and its changes are collected.
 * Any other end of this command leaves it running. Returns the exit code of its final state. Throws as Sessions.create.
 */
export async function runCommand(
  sessions: Sessions,
  request: CreateSessionRequest,
  { detach, json }: RunOptions,
  io: CommandIo,
): Promise<number> {
  const { id, spec } = await sessions.create(request);
  if (spec !== undefined) io.stderr.write(`sent: ${sentText(spec)}\n`);
  if (detach) {
    io.stdout.write(json ? `${JSON.stringify({ session_id: id })}\n` : `${id}\n`);
    return EXIT.done;
  }
  io.stderr.write(`session ${id}\n`);
  const left = new AbortController();
  const onAbort = () => {
    if ((io.signal.reason as Error).message !== "SIGINT") return left.abort();
    io.stderr.write("ending the session; its changes are being collected\n");
    sessions.stop(id, { reason: "Interrupted on the command line." }).catch((error: unknown) => {
      io.stderr.write(`the session could not be stopped: ${error instanceof Error ? error.message : String(error)}\n`);
    });
  };
  if (io.signal.aborted) onAbort();
  else io.signal.addEventListener("abort", onAbort, { once: true });
  try {
    await followSessions(sessions, [id], { signal: left.signal }, io);
  } finally {
    io.signal.removeEventListener("abort", onAbort);
  }
  if (left.signal.aborted) {
    io.stderr.write(`The session goes on: claudecluster watch ${id}\n`);
    return EXIT.canceled;
  }
  const { session, summary } = await readSummary(sessions, id);
  if (json) printJson(io.stdout, summary);
  else {
    using patch = await sessions.openArtifact(id, Artifact_Kind.PATCH);
    if (await printResult(summary, patch.read(), io)) await noteSaved(sessions, summary, io);
  }
  if (session.state !== Session_State.SUCCEEDED && summary.failure !== undefined) {
    io.stderr.write(`${summary.failure.reason}: ${summary.failure.message}\n`);
  }
  return exitCodeOfState(session.state);
}
