import { type AppError, asAppError, isFinal } from "../../proto/index.ts";
import { notInPatch } from "../present/not-in-patch.ts";
import { SessionProgress } from "../present/session-progress.ts";
import { stateName } from "../present/session-summary.ts";
import type { Sessions } from "../session/sessions.ts";
import { watchUpdates } from "../session/watch-updates.ts";
import { type CommandIo, EXIT } from "./command-io.ts";

/** Sends a session another message, queued while a turn runs. Throws NOT_FOUND, SESSION_OVER. */
export async function sendCommand(sessions: Sessions, sessionId: string, text: string, io: CommandIo): Promise<number> {
  await sessions.sendMessage(sessionId, { text });
  io.stdout.write(`Sent to ${sessionId}.\n`);
  return EXIT.done;
}

/** Ends the running turn of a session. Throws NOT_FOUND, SESSION_OVER, TURN_NOT_RUNNING. */
export async function interruptCommand(sessions: Sessions, sessionId: string, io: CommandIo): Promise<number> {
  await sessions.interrupt(sessionId);
  io.stdout.write(`Interrupted ${sessionId}.\n`);
  return EXIT.done;
}

/**
 * Asks sessions to end. With `wait`, returns once they have ended and their changes are there, or EXIT.canceled on a signal.
 * Throws NOT_FOUND.
 */
export async function stopCommand(
  sessions: Sessions,
  ids: readonly string[],
  { reason, wait }: { reason: string; wait: boolean },
  io: CommandIo,
): Promise<number> {
  await Promise.all(ids.map(stop));
  return io.signal.aborted ? EXIT.canceled : EXIT.done;

  async function stop(id: string): Promise<void> {
    const { state } = await sessions.get(id);
    await sessions.stop(id, { reason });
    if (isFinal(state)) return void io.stdout.write(`${id} was over already: ${stateName(state)}.\n`);
    if (!wait) return void io.stdout.write(`Asked ${id} to stop.\n`);
    await ended(sessions, id, io);
    if (io.signal.aborted) return;
    const { result } = await sessions.get(id);
    const missing = result === undefined ? [] : notInPatch(result);
    io.stdout.write(`Stopped ${id}.\n${missing.map((line) => `  ${line}\n`).join("")}`);
  }
}

/**
 * Removes what is stored of finished sessions, one after the other, and prints their ids. With `force`, ends them first; with
 * `discard`, also if nobody has taken their changes. One that cannot be removed is no reason to leave the others; the last such
 * reason is thrown at the end, and those before it are printed: NOT_FOUND, SESSION_LIVE, CHANGES_NOT_TAKEN.
 */
export async function removeCommand(
  sessions: Sessions,
  ids: readonly string[],
  { force, discard }: { force: boolean; discard: boolean },
  io: CommandIo,
): Promise<number> {
  let refusal: AppError | undefined;
  for (const id of ids) {
    try {
      if (force) {
        await sessions.stop(id, { reason: "Removed on the command line." });
        await ended(sessions, id, io);
        if (io.signal.aborted) return EXIT.canceled;
      }
      await sessions.delete(id, { discard });
      io.stdout.write(`${id}\n`);
    } catch (error) {
      if (refusal !== undefined) io.stderr.write(`${refusal.toSentence()}\n`);
      refusal = asAppError(error);
    }
  }
  if (refusal !== undefined) throw refusal;
  return EXIT.done;
}

/** Waits for a session's end, and says what that waits for. */
async function ended(sessions: Sessions, sessionId: string, { stderr, signal }: CommandIo): Promise<void> {
  const { state, lastSequence } = await sessions.get(sessionId);
  if (isFinal(state)) return;
  const progress = new SessionProgress(sessionId);
  using _updates = watchUpdates(sessions, [sessionId], (session) => {
    const line = progress.look(session);
    if (line !== undefined) stderr.write(`${sessionId}: ${line}\n`);
  });
  // The last event ends the loop.
  for await (const _batch of sessions.watch(sessionId, { afterSequence: lastSequence, signal }));
}
