import type { ServerContext } from "@modelcontextprotocol/server";
import { awaitSession } from "../session/await-session.ts";
import type { Sessions } from "../session/sessions.ts";
import { watchUpdates } from "../session/watch-updates.ts";
import { type Session, type SessionEvent, Session_State } from "../../proto/index.ts";
import { SessionProgress } from "../present/session-progress.ts";
import { stateName } from "../present/session-summary.ts";
import { ProgressReporter } from "./progress-reporter.ts";
import { sharedLine } from "./shared-line.ts";

/** Where a session stands, and what it changed: told even where it comes in quick succession. */
const NEVER_DROPPED = new Set([
  "phaseChanged",
  "connectionMade",
  "filePatched",
  "connectionLost",
  "egressDecided",
  "budgetReached",
]);

/** Session to follow, from what its caller knows of it. */
export type FollowedSession = Pick<Session, "id" | "lastSequence" | "state">;

/** Bounds of following sessions. */
export interface FollowOptions {
  /** Which of several sessions end it by needing their parent. Default: all. A decision that one waits for always does. */
  until?: "any" | "all" | undefined;
  /** Time after which waiting ends (ms). Undefined: never. */
  timeoutMs?: number | undefined;
  /** Message whose turn is waited for: see AwaitOptions. */
  messageId?: string;
}

/**
 * Reports the progress of sessions, in one line, until they need their parent, the call ends, or the time is over. None of
 * these touches a session.
 */
export async function followSessions(
  sessions: Sessions,
  followed: readonly FollowedSession[],
  context: ServerContext,
  { until = "all", timeoutMs, messageId }: FollowOptions = {},
): Promise<void> {
  using reporter = ProgressReporter.start(context);
  const line = new SharedLine(followed.map(({ id }) => id));
  const ended = new AbortController();
  const { signal: called } = context.mcpReq;
  const signal = AbortSignal.any([
    called,
    ended.signal,
    ...(timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)]),
  ]);
  const follow = async ({ id, state, lastSequence: afterSequence }: FollowedSession) => {
    const say = (said: string, options: { force: boolean }) => reporter.report(line.say(id, said), options);
    const progress = line.of(id);
    reporter.report(line.begin(id, afterSequence === 0 ? undefined : stateName(state)), { force: true });
    const settled = await awaitSession(sessions, id, {
      afterSequence,
      state,
      ...(messageId !== undefined && { messageId }),
      signal,
      onEvent: (event) => {
        const said = progress.add(event);
        if (said !== undefined && said !== "") say(said, { force: isNeverDropped(event.event) });
      },
    });
    if (settled === undefined) return;
    const rest = line.end(id);
    if (rest !== undefined) reporter.report(rest, { force: true });
    if (until === "any" || settled === Session_State.WAITING) ended.abort();
  };
  using _updates = watchUpdates(
    sessions,
    followed.map(({ id }) => id),
    (now) => {
      const said = line.of(now.id).look(now);
      if (said !== undefined) reporter.report(line.say(now.id, said), { force: true });
    },
  );
  await Promise.all(followed.map(follow)).finally(() => ended.abort());
}

/** The line that the sessions of a call share. */
class SharedLine {
  readonly #sessions: Map<string, { progress: SessionProgress; said: string; ended: boolean }>;

  constructor(ids: readonly string[]) {
    this.#sessions = new Map(ids.map((id) => [id, { progress: new SessionProgress(id), said: "", ended: false }]));
  }

  of(id: string): SessionProgress {
    return this.#sessions.get(id)!.progress;
  }

  /** Returns the line once a session is followed. `state`: it was there before. */
  begin(id: string, state: string | undefined): string {
    if (this.#sessions.size > 1) return this.say(id, state ?? "asked for");
    return state === undefined ? `session ${id}` : `session ${id} is ${state}`;
  }

  /** Returns the line once a session says something. */
  say(id: string, said: string): string {
    this.#sessions.get(id)!.said = said;
    return this.#line();
  }

  /** Returns the line once a session is done. Undefined: it was the last one. */
  end(id: string): string | undefined {
    const { size } = this.#sessions;
    this.#sessions.get(id)!.ended = true;
    const ended = [...this.#sessions.values()].filter((each) => each.ended).length;
    return ended === size ? undefined : this.#line();
  }

  #line(): string {
    const all = [...this.#sessions.values()];
    return sharedLine(all.map(({ progress, ...said }) => ({ ...said, session: progress.session })));
  }
}

function isNeverDropped({ case: kind, value }: SessionEvent["event"]): boolean {
  // Without a percentage it says something once, as that the checkout has taken most of its room.
  return NEVER_DROPPED.has(kind ?? "") || (kind === "cloneProgress" && value.percent === undefined);
}
