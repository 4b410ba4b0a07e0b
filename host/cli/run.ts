import { type SessionEvent, Session_State } from "../../proto/index.ts";
import type { App } from "../app.ts";
import { type SpawnInput, spawnInputSchema, toCreateRequest } from "../session/spawn-request.ts";
import { progressLine } from "../present/progress-line.ts";
import { summarizeSession } from "../present/session-summary.ts";
import { printResult } from "../present/print-result.ts";
import type { CommandIo } from "./command-io.ts";
import { exitCodeOfState } from "./exit-codes.ts";

/** Runs one session to its end: progress on stderr, the result on stdout. */
export async function runCommand(
  app: App,
  input: SpawnInput,
  options: { json: boolean },
  io: CommandIo,
): Promise<number> {
  const { sessions } = app;
  const { id } = await sessions.create(toCreateRequest(spawnInputSchema.parse(input)));
  io.stderr.write(`session ${id}\n`);
  const onAbort = () => {
    io.stderr.write("ending the session; its changes are being collected\n");
    sessions.stop(id, { reason: "Interrupted on the command line." }).catch((error: unknown) => {
      app.logger.error({ err: error, sessionId: id }, "session could not be stopped");
    });
  };
  if (io.signal.aborted) onAbort();
  else io.signal.addEventListener("abort", onAbort, { once: true });
  const startMs = Date.now();
  for await (const event of sessions.watch(id, { afterSequence: 0, signal: new AbortController().signal })) {
    printProgress(event, startMs, io);
  }
  io.signal.removeEventListener("abort", onAbort);
  const session = await sessions.get(id);
  const patch = await sessions.readChanges(id);
  const summary = summarizeSession(session, patch);
  if (options.json) io.stdout.write(`${JSON.stringify(summary, undefined, 2)}\n`);
  else printResult(summary, patch, io.stdout);
  if (session.state !== Session_State.SUCCEEDED && summary.failure !== undefined) {
    io.stderr.write(`${summary.failure.reason}: ${summary.failure.message}\n`);
  }
  return exitCodeOfState(session.state);
}

function printProgress(event: SessionEvent, startMs: number, io: CommandIo): void {
  const line = progressLine(event);
  if (line !== undefined) io.stderr.write(`${((Date.now() - startMs) / 1000).toFixed(1).padStart(6)}s  ${line}\n`);
}
