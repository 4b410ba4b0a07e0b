import { timestampMs, timestampNow } from "@bufbuild/protobuf/wkt";
import { isFinal, type SessionEvent, type Session_State } from "../../proto/index.ts";
import { hang } from "../present/indent.ts";
import { LiveLines } from "../present/live-lines.ts";
import { nextStep } from "../present/next-step.ts";
import { readRecent } from "../present/read-session.ts";
import { SessionProgress } from "../present/session-progress.ts";
import { shortId, statusLine } from "../present/status-line.ts";
import { isTerminal, painterFor } from "../present/terminal.ts";
import type { Sessions } from "../session/sessions.ts";
import { watchWaiting } from "../session/watch-waiting.ts";
import type { CommandIo } from "./command-io.ts";

export interface FollowOptions {
  signal: AbortSignal;
  /** Lines of what happened before are shown too, where there is one session. Default true. */
  past?: boolean;
}

/**
 * Shows sessions on standard error until all have finished: on a terminal one line for each, redrawn,
 * with what happens above it where there is only one; elsewhere plain lines. Returns their final
 * states; undefined for one that has none because the signal came first.
 */
export async function followSessions(
  sessions: Sessions,
  ids: readonly string[],
  options: FollowOptions,
  io: CommandIo,
): Promise<(Session_State | undefined)[]> {
  const { signal, past = true } = options;
  const all = await Promise.all(ids.map(async (id) => new SessionProgress(past ? id : await sessions.get(id))));
  const paint = painterFor(io.stderr, io.env);
  const alone = ids.length === 1;
  const render = () => all.map((progress) => statusLine(progress, { paint, nowMs: Date.now() }));
  using live = isTerminal(io.stderr, io.env) ? new LiveLines(io.stderr, render) : undefined;
  const print = (progress: SessionProgress, event: Pick<SessionEvent, "occurTime">, line: string) => {
    const time = `${sinceStart(progress, event)}  `;
    if (live === undefined) io.stderr.write(`${alone ? "" : `${shortId(progress.session.id)}  `}${time}${line}\n`);
    else live.print(paint("dim", hang(time, line, io.stderr.columns)));
  };
  const stages = new Map<string, string>();
  /** Elsewhere than on a terminal a stage of the clone is one line: nothing there is overwritten by the next percent. */
  const shorten = (id: string, { event }: SessionEvent, line: string) => {
    if (live !== undefined || event.case !== "cloneProgress") return line;
    const stage = line.replace(/ \d+%$/, "");
    if (stages.get(id) === stage) return "";
    stages.set(id, stage);
    return stage;
  };
  const show = (progress: SessionProgress, event: SessionEvent, said: string) => {
    const line = shorten(progress.session.id, event, said);
    // On a terminal the status line says how it ended.
    if (line !== "" && (live === undefined || (alone && event.event.case !== "sessionFinished")))
      print(progress, event, line);
    const step = nextStep(progress.session, event);
    if (step !== undefined) print(progress, event, step);
  };
  const follow = async (progress: SessionProgress) => {
    using _waiting = watchWaiting(sessions, progress.session.id, (line, waiting) => {
      progress.waiting = waiting ? line : "";
      if (live === undefined || alone) print(progress, { occurTime: timestampNow() }, line);
    });
    await followOne(sessions, progress, signal, show);
  };
  await Promise.all(all.map(follow));
  return all.map(({ session }) => (isFinal(session.state) ? session.state : undefined));
}

async function followOne(
  sessions: Sessions,
  progress: SessionProgress,
  signal: AbortSignal,
  show: (progress: SessionProgress, event: SessionEvent, line: string) => void,
): Promise<void> {
  const { session } = progress;
  const { id, lastSequence: afterSequence, pendingRequests } = session;
  // Of what happened before, what it still waits for and how it ended.
  const asked = new Set(pendingRequests.map(({ sequence }) => sequence));
  for (const event of await readRecent(sessions, session)) {
    const line = progress.note(event) ?? "";
    if (asked.has(event.sequence) || event.event.case === "sessionFinished") show(progress, event, line);
  }
  for await (const batch of sessions.watch(id, { afterSequence, signal })) {
    for (const event of batch) show(progress, event, progress.add(event) ?? "");
  }
}

function sinceStart({ session }: SessionProgress, { occurTime }: Pick<SessionEvent, "occurTime">): string {
  const { createTime } = session;
  const ms = occurTime === undefined || createTime === undefined ? 0 : timestampMs(occurTime) - timestampMs(createTime);
  return `${(Math.max(0, ms) / 1000).toFixed(1).padStart(6)}s`;
}
