import { timestampMs, timestampNow } from "@bufbuild/protobuf/wkt";
import { isFinal, type Session, type SessionEvent, type Session_State } from "../../proto/index.ts";
import { hang } from "../present/indent.ts";
import { LiveLines } from "../present/live-lines.ts";
import { nextStep } from "../present/next-step.ts";
import { readRecent } from "../present/read-session.ts";
import { SessionProgress } from "../present/session-progress.ts";
import { shortId, statusLine } from "../present/status-line.ts";
import { isTerminal, type Paint, painterFor } from "../present/terminal.ts";
import type { Sessions } from "../session/sessions.ts";
import { watchUpdates } from "../session/watch-updates.ts";
import type { CommandIo } from "./command-io.ts";

/** Options of showing sessions until their end. */
export interface FollowOptions {
  signal: AbortSignal;
  /** Whether lines of what happened before are shown too. Default: true. */
  past?: boolean;
}

/**
 * Shows sessions on standard error until all have finished, or an abort. Returns their final states in the order of the ids.
 * Undefined: the abort came first. Throws NOT_FOUND.
 */
export async function followSessions(
  sessions: Sessions,
  ids: readonly string[],
  { signal, past = true }: FollowOptions,
  io: CommandIo,
): Promise<(Session_State | undefined)[]> {
  const known = await Promise.all(ids.map(async (id) => (past ? id : await sessions.get(id))));
  using view = SessionsView.start(sessions, { signal, named: ids.length > 1 }, io);
  const following = known.map((session) => view.follow(session));
  using _updates = watchUpdates(sessions, ids, (session) => view.look(session));
  return await Promise.all(following);
}

/**
 * View of sessions on standard error. A terminal has one line for each, redrawn, and above it what happens if there is only
 * one session. Elsewhere it is plain lines. Dispose of it to leave the lines as they are.
 */
export class SessionsView implements Disposable {
  readonly #sessions: Sessions;
  readonly #options: { signal: AbortSignal; named: boolean };
  readonly #io: CommandIo;
  readonly #paint: Paint;
  /** Those that are not settled. */
  readonly #all: SessionProgress[] = [];
  #count = 0;
  #live: LiveLines | undefined;
  /** The stage of the clone that was told last. */
  readonly #stages = new Map<string, string>();

  private constructor(sessions: Sessions, options: { signal: AbortSignal; named: boolean }, io: CommandIo) {
    this.#sessions = sessions;
    this.#options = options;
    this.#io = io;
    this.#paint = painterFor(io.stderr, io.env);
  }

  /** Starts a view of no sessions yet. With `named` every plain line begins with its session's short id. */
  static start(sessions: Sessions, options: { signal: AbortSignal; named: boolean }, io: CommandIo): SessionsView {
    const view = new SessionsView(sessions, options, io);
    const render = () => view.#all.map((progress) => view.#statusLine(progress));
    if (isTerminal(io.stderr, io.env)) view.#live = LiveLines.start(io.stderr, render);
    return view;
  }

  /** Shows a session until it has finished: given its id, from the beginning. Returns its final state. Undefined: an abort came first. */
  async follow(known: string | Session): Promise<Session_State | undefined> {
    const progress = new SessionProgress(known);
    const { session } = progress;
    this.#all.push(progress);
    this.#count += 1;
    if (typeof known !== "string") this.look(known);
    const { id, lastSequence: afterSequence, pendingRequests } = session;
    // Of what happened before, what it still waits for and how it ended.
    const asked = new Set(pendingRequests.map(({ sequence }) => sequence));
    for (const event of await readRecent(this.#sessions, session)) {
      const line = progress.note(event) ?? "";
      if (asked.has(event.sequence) || event.event.case === "sessionFinished") this.#show(progress, event, line);
    }
    for await (const batch of this.#sessions.watch(id, { afterSequence, signal: this.#options.signal })) {
      for (const event of batch) this.#show(progress, event, progress.add(event) ?? "");
    }
    if (!isFinal(session.state)) return undefined;
    if (this.#options.named) this.#settle(progress);
    return session.state;
  }

  /** Shows what no event says of a session. Does nothing for one that is not followed. */
  look(session: Session): void {
    for (const progress of this.#all.filter(({ session: { id } }) => id === session.id)) {
      const line = progress.look(session);
      if (line !== undefined && (this.#live === undefined || this.#alone)) {
        this.#print(progress, { occurTime: timestampNow() }, line);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#live?.[Symbol.dispose]();
  }

  get #alone(): boolean {
    return this.#count === 1;
  }

  /** Leaves the line of a session that is over above the others: there may be more than the terminal has lines. */
  #settle(progress: SessionProgress): void {
    if (this.#live === undefined) return;
    this.#all.splice(this.#all.indexOf(progress), 1);
    this.#live.print(this.#statusLine(progress));
  }

  #statusLine(progress: SessionProgress): string {
    return statusLine(progress, { paint: this.#paint, nowMs: Date.now() });
  }

  #show(progress: SessionProgress, event: SessionEvent, said: string): void {
    const line = this.#shorten(progress.session.id, event, said);
    // On a terminal the status line says how it ended.
    if (line !== "" && (this.#live === undefined || (this.#alone && event.event.case !== "sessionFinished")))
      this.#print(progress, event, line);
    const step = nextStep(progress.session, event);
    if (step !== undefined) this.#print(progress, event, step);
  }

  #print(progress: SessionProgress, event: Pick<SessionEvent, "occurTime">, line: string): void {
    const { stderr } = this.#io;
    const time = `${sinceStart(progress, event)}  `;
    const name = this.#options.named ? `${shortId(progress.session.id)}  ` : "";
    if (this.#live === undefined) stderr.write(`${name}${time}${line}\n`);
    else this.#live.print(this.#paint("dim", hang(time, line, stderr.columns)));
  }

  /** Elsewhere than on a terminal a stage of the clone is one line: nothing there is overwritten by the next percent. */
  #shorten(id: string, { event }: SessionEvent, line: string): string {
    if (this.#live !== undefined || event.case !== "cloneProgress") return line;
    const stage = line.replace(/ \d+%$/, "");
    if (this.#stages.get(id) === stage) return "";
    this.#stages.set(id, stage);
    return stage;
  }
}

function sinceStart({ session }: SessionProgress, { occurTime }: Pick<SessionEvent, "occurTime">): string {
  const { createTime } = session;
  const ms = occurTime === undefined || createTime === undefined ? 0 : timestampMs(occurTime) - timestampMs(createTime);
  return `${(Math.max(0, ms) / 1000).toFixed(1).padStart(6)}s`;
}
