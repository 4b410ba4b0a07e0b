import type { ServerContext } from "@modelcontextprotocol/server";
import { awaitSession } from "../session/await-session.ts";
import type { Sessions } from "../session/sessions.ts";
import { watchUpdates } from "../session/watch-updates.ts";
import type { Session, Session_State, SessionEvent } from "../../proto/index.ts";
import { SessionProgress } from "../present/session-progress.ts";
import { comeTo, shortId } from "../present/status-line.ts";
import { stateName } from "../present/session-summary.ts";
import { ProgressReporter } from "./progress-reporter.ts";

/** Where a session stands, and what it changed: told even where it comes in quick succession. */
const NEVER_DROPPED = new Set([
  "phaseChanged",
  "connectionMade",
  "filePatched",
  "connectionLost",
  "egressDecided",
  "budgetReached",
]);

/** Bounds of following a session. */
export interface FollowOptions {
  /** Time after which waiting ends (ms). Undefined: never. */
  timeoutMs?: number;
  /** Message whose turn is waited for: see AwaitOptions. */
  messageId?: string;
  /** Reporter that several share. Default: one of its own. */
  reporter?: ProgressReporter;
}

/**
 * Reports a session's progress until the session needs its parent, the call ends, or the time is over. None of these
 * touches the session.
 */
export async function followSession(
  sessions: Sessions,
  session: Pick<Session, "id" | "lastSequence"> & { state: Session_State },
  context: ServerContext,
  { timeoutMs, messageId, reporter: shared }: FollowOptions = {},
): Promise<void> {
  const { id, state, lastSequence: afterSequence } = session;
  const progress = new SessionProgress(id);
  using own = shared === undefined ? ProgressReporter.start(context) : undefined;
  const reporter = shared ?? own!;
  const say = (line: string, options: { force: boolean }) => reporter.report(`${lead(progress)}: ${line}`, options);
  using _updates = watchUpdates(sessions, [id], (now) => {
    const line = progress.look(now);
    if (line !== undefined) say(line, { force: true });
  });
  const signals = [context.mcpReq.signal, ...(timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)])];
  reporter.report(afterSequence === 0 ? `session ${id}` : `session ${id} is ${stateName(state)}`, { force: true });
  await awaitSession(sessions, id, {
    afterSequence,
    state,
    ...(messageId !== undefined && { messageId }),
    signal: AbortSignal.any(signals),
    onEvent: (event) => {
      const line = progress.add(event);
      if (line !== undefined && line !== "") say(line, { force: isNeverDropped(event.event) });
    },
  });
}

/** Which session it is, since several calls share one line, and what it has come to. */
function lead({ session }: SessionProgress): string {
  return [shortId(session.id), ...comeTo(session)].join(" ");
}

function isNeverDropped({ case: kind, value }: SessionEvent["event"]): boolean {
  // Without a percentage it says something once, as that the checkout has taken most of its room.
  return NEVER_DROPPED.has(kind ?? "") || (kind === "cloneProgress" && value.percent === undefined);
}
