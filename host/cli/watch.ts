import { toJsonString } from "@bufbuild/protobuf";
import { type SessionEvent, SessionEventSchema, type Session_State } from "../../proto/index.ts";
import { plainJson } from "../present/plain-text.ts";
import type { Sessions } from "../session/sessions.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { exitCodeOfState } from "./exit-codes.ts";
import { followEachLive } from "./each-live.ts";
import { followSessions, SessionsView } from "./follow.ts";

/**
 * Watches sessions until all have finished: those given, or else all that are live, also those that start meanwhile. Returns
 * the exit code of their final states, a failure first. EXIT.canceled: a signal came first.
 */
export async function watchCommand(
  sessions: Sessions,
  given: readonly string[],
  { json }: { json: boolean },
  io: CommandIo,
): Promise<number> {
  const { signal } = io;
  const print = (id: string) => printEvents(sessions, id, { afterSequence: 0, signal }, io);
  let ids = given;
  let states: (Session_State | undefined)[];
  if (given.length === 0) {
    const ended = await (json
      ? followEachLive(sessions, { signal, follow: ({ id }) => print(id), look: () => {} })
      : showEachLive(sessions, io));
    ids = ended.map(([id]) => id);
    states = ended.map(([, state]) => state);
  } else if (json) states = await Promise.all(given.map(print));
  else states = await followSessions(sessions, given, { signal, past: false }, io);
  if (ids.length === 0) {
    if (!signal.aborted) io.stderr.write("No session is live.\n");
    return signal.aborted ? EXIT.canceled : EXIT.done;
  }
  if (!json && ids.length === 1 && states[0] !== undefined) {
    io.stderr.write(`claudecluster show ${ids[0]} and claudecluster diff ${ids[0]} have the result.\n`);
  }
  const left = ids.filter((_, index) => states[index] === undefined);
  if (!json && left.length > 0) {
    const who = left.length === 1 ? "The session goes on" : `${left.length} sessions go on`;
    io.stderr.write(`${who}: claudecluster watch ${left.join(" ")}\n`);
  }
  return exitCodeOfAll(states);
}

/**
 * Prints a session's events as one JSON document a line, as the protocol has them. It ends after the event numbered `until`;
 * default: none. Returns the final state. Undefined: it was not reached.
 */
export async function printEvents(
  sessions: Sessions,
  sessionId: string,
  options: { afterSequence: number; signal: AbortSignal; until?: number },
  io: CommandIo,
): Promise<Session_State | undefined> {
  const { afterSequence, until = Infinity, signal } = options;
  if (afterSequence >= until) return undefined;
  for await (const batch of sessions.watch(sessionId, { afterSequence, signal })) {
    for (const event of batch) {
      io.stdout.write(`${eventLine(sessionId, event)}\n`);
      if (event.event.case === "sessionFinished") return event.event.value.state;
      if (event.sequence >= until) return undefined;
    }
  }
  return undefined;
}

function eventLine(sessionId: string, event: SessionEvent): string {
  return plainJson(`{"sessionId":${JSON.stringify(sessionId)},${toJsonString(SessionEventSchema, event).slice(1)}`);
}

async function showEachLive(sessions: Sessions, io: CommandIo): Promise<[string, Session_State | undefined][]> {
  const { signal } = io;
  using view = SessionsView.start(sessions, { signal, named: true }, io);
  return await followEachLive(sessions, {
    signal,
    follow: (session) => view.follow(session),
    look: (session) => view.look(session),
  });
}

function exitCodeOfAll(states: readonly (Session_State | undefined)[]): number {
  const codes = states.map((state) => (state === undefined ? EXIT.canceled : exitCodeOfState(state)));
  return codes.find((code) => code === EXIT.sessionFailed) ?? codes.find((code) => code !== EXIT.done) ?? EXIT.done;
}
