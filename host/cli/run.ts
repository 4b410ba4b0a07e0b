import { Artifact_Kind, Session_State } from "../../proto/index.ts";
import { attemptsText, compareAttempts } from "../present/attempts-text.ts";
import { printResult } from "../present/print-result.ts";
import { readSummary } from "../present/read-session.ts";
import { sentText } from "../present/sent-text.ts";
import { createAttempts } from "../session/create-attempts.ts";
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
  /** Number of sessions that are given the same task. Default: 1. */
  attempts?: number;
}

/**
 * Runs a session to its end: progress on stderr, the result on stdout. Ctrl-C ends the session and its changes are collected.
 * Any other end of this command leaves it running. Returns the exit code of its final state. Of several attempts the result is
 * how they compare, and the code that of the best. Throws as Sessions.create.
 */
export async function runCommand(
  sessions: Sessions,
  request: CreateSessionRequest,
  { detach, json, attempts = 1 }: RunOptions,
  io: CommandIo,
): Promise<number> {
  const created = await createAttempts(sessions, request, attempts);
  const ids = created.map(({ id }) => id);
  const spec = created[0]?.spec;
  if (spec !== undefined) io.stderr.write(`sent: ${sentText(spec)}\n`);
  if (detach) {
    for (const id of ids) io.stdout.write(json ? `${JSON.stringify({ session_id: id })}\n` : `${id}\n`);
    return EXIT.done;
  }
  for (const id of ids) io.stderr.write(`session ${id}\n`);
  if (await isLeft(sessions, ids, io)) {
    io.stderr.write(
      `${ids.length === 1 ? "The session goes" : "The sessions go"} on: claudecluster watch ${ids.join(" ")}\n`,
    );
    return EXIT.canceled;
  }
  return attempts === 1 ? printOne(sessions, ids[0]!, { json }, io) : printAttempts(sessions, ids, { json }, io);
}

/** Shows sessions until they have finished, or until this command is ended otherwise than by Ctrl-C, which ends them: true. */
async function isLeft(sessions: Sessions, ids: readonly string[], io: CommandIo): Promise<boolean> {
  const left = new AbortController();
  const stop = async (id: string) => {
    try {
      await sessions.stop(id, { reason: "Interrupted on the command line." });
    } catch (error) {
      io.stderr.write(`the session could not be stopped: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  };
  const onAbort = () => {
    if ((io.signal.reason as Error).message !== "SIGINT") return left.abort();
    io.stderr.write("ending the session; its changes are being collected\n");
    for (const id of ids) void stop(id);
  };
  if (io.signal.aborted) onAbort();
  else io.signal.addEventListener("abort", onAbort, { once: true });
  try {
    await followSessions(sessions, ids, { signal: left.signal }, io);
  } finally {
    io.signal.removeEventListener("abort", onAbort);
  }
  return left.signal.aborted;
}

async function printOne(sessions: Sessions, id: string, { json }: { json: boolean }, io: CommandIo): Promise<number> {
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

async function printAttempts(
  sessions: Sessions,
  ids: readonly string[],
  { json }: { json: boolean },
  io: CommandIo,
): Promise<number> {
  const read = await Promise.all(ids.map((id) => readSummary(sessions, id)));
  const report = compareAttempts(read.map(({ summary }) => summary));
  if (json) printJson(io.stdout, report);
  else io.stdout.write(attemptsText(report));
  if (report.next !== undefined) return EXIT.done;
  const canceled = read.every(({ session }) => session.state === Session_State.CANCELED);
  return canceled ? EXIT.canceled : EXIT.sessionFailed;
}
