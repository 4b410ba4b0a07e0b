import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { SessionsHelloSchema, SessionUpdatesSchema } from "../../proto/control.ts";
import { cutListed, cutText, Notifier, type Session, type Session_State } from "../../proto/index.ts";
import type { SessionStore } from "../store/session-store.ts";
import { rest } from "../sleep.ts";
import type { SessionsNews, WatchSessionsRequest } from "./sessions.ts";
import { LIVE_STATES } from "./states.ts";

/** Sessions in one message: below gRPC's usual 4 MiB whatever a container has put into them. */
const BATCH_LENGTH = 32;
/** A reader is told of changes at most this often (ms). */
const INTERVAL_MS = 100;
/** Time for which a session that one reader was told of is kept for the others (ms). */
const TOLD_MS = 10 * INTERVAL_MS;
/** Enough of a task to know a session by (bytes). */
const TASK_BYTES = 4 * 1024;
/** Removed sessions that are remembered for readers that come back. */
const MAX_REMOVED = 10_000;

/** Store of the sessions, and what completes their snapshots. */
export interface SessionsFeedOptions {
  store: Pick<SessionStore, "getSession" | "listSessions" | "onChanged">;
  /** Adds in place what no event says of a session. */
  complete: (session: Session) => Session;
}

/** What is remembered of a session that has changed. */
interface Entry {
  /** Number of its newest change. */
  revision: number;
  state: Session_State;
  /** The change with which it left a state that it has been in. */
  readonly leftAt: Map<Session_State, number>;
}

/** A change of a session, which is one of the past once the session has a newer one. */
interface Change {
  sessionId: string;
  revision: number;
}

/**
 * Feed of all sessions as they change, for any number of readers. Changes are counted, and a cursor is the number of one.
 * Each session is remembered with its newest change, and read from the store when a reader gets to it: a slow reader gets
 * the newest of each, without variables and the whole of a long task, and holds up nobody. Readers may get the same session,
 * and do no more to it than shorten it. A cursor of another process begins anew. Readers end with their own signals.
 */
export class SessionsFeed implements Disposable {
  readonly #options: SessionsFeedOptions;
  readonly #life = randomUUID();
  readonly #entries = new Map<string, Entry>();
  /** What one reader was told of sessions, for the others. */
  readonly #told = new Map<string, Session>();
  #forgetting: NodeJS.Timeout | undefined;
  /** Oldest first; holds the newest change of every session, and some of the past. */
  #changes: Change[] = [];
  /** Oldest first. */
  readonly #removed: Change[] = [];
  /** The newest removal that is not remembered. */
  #forgotten = 0;
  #revision = 0;
  readonly #changed = new Notifier();
  #subscription: Disposable | undefined;

  private constructor(options: SessionsFeedOptions) {
    this.#options = options;
  }

  /** Starts a feed of the sessions that there are, and listens to the store for changes until it is disposed of. */
  static start(options: SessionsFeedOptions): SessionsFeed {
    const feed = new SessionsFeed(options);
    // Of others the state does not change any more.
    for (const { id, state } of options.store.listSessions({
      states: LIVE_STATES,
      parent: undefined,
      beforeId: undefined,
      limit: Number.MAX_SAFE_INTEGER,
    })) {
      feed.#entries.set(id, { revision: 0, state, leftAt: new Map() });
    }
    feed.#subscription = options.store.onChanged((sessionId, state) => {
      if (state === undefined) feed.#remove(sessionId);
      else feed.#enter(sessionId, state);
    });
    return feed;
  }

  /** Notes a change of a session that no event says. Its readers get it anew. */
  note(sessionId: string): void {
    const state = this.#entries.get(sessionId)?.state;
    if (state !== undefined) this.#enter(sessionId, state);
  }

  /** See Sessions.watchAll. */
  async *watch({ cursor = "", ...request }: WatchSessionsRequest): AsyncGenerator<SessionsNews, undefined> {
    const filter = new Filter(request);
    const { signal } = request;
    let after = this.#revisionOf(cursor);
    while (!signal.aborted) {
      const resumed = after !== undefined && after >= this.#forgotten;
      yield { case: "hello", value: create(SessionsHelloSchema, { resumed }) };
      if (!resumed) after = yield* this.#all(filter);
      after = yield* this.#since(after!, filter, { signal, due: resumed });
    }
  }

  [Symbol.dispose](): void {
    this.#subscription?.[Symbol.dispose]();
    this.#forget();
  }

  /** Yields all sessions that match. Returns the change from which on each is told anew. */
  *#all(filter: Filter): Generator<SessionsNews, number> {
    const revision = this.#revision;
    let beforeId: string | undefined;
    for (let start = 0; ; start += BATCH_LENGTH) {
      const ids = filter.ids?.slice(start, start + BATCH_LENGTH);
      const page = ids?.map((id) => this.#look(id)) ?? this.#list(filter, beforeId);
      const caughtUp =
        filter.ids === undefined ? page.length < BATCH_LENGTH : start + BATCH_LENGTH >= filter.ids.length;
      const sessions = page.filter((session) => session !== undefined);
      yield this.#updates({
        sessions: sessions.filter((session) => filter.takes(session)),
        removedSessionIds: ids?.filter((_id, index) => page[index] === undefined) ?? [],
        cursor: caughtUp ? this.#cursor(revision) : "",
        caughtUp,
      });
      if (caughtUp) return revision;
      beforeId = sessions.at(-1)?.id;
    }
  }

  /** Yields what changes, until a reader falls too far behind. The first comes at once if it is due, though it be nothing. */
  async *#since(
    start: number,
    filter: Filter,
    { signal, due }: { signal: AbortSignal; due: boolean },
  ): AsyncGenerator<SessionsNews, number> {
    let after = start;
    for (let first = due; !signal.aborted && after >= this.#forgotten; first = false) {
      const lookedMs = performance.now();
      const { sessions, removedSessionIds, revision } = this.#next(after, filter);
      after = revision;
      const caughtUp = revision === this.#revision;
      if (first || sessions.length > 0 || removedSessionIds.length > 0) {
        yield this.#updates({ sessions, removedSessionIds, cursor: this.#cursor(revision), caughtUp });
      }
      if (after < this.#revision || !(await this.#changed.next({ signal }))) continue;
      const restMs = lookedMs + INTERVAL_MS - performance.now();
      if (restMs > 0) await rest(restMs, signal);
    }
    return after;
  }

  /** The next sessions that have changed after a revision, and up to which one that is all. */
  #next(after: number, filter: Filter): { sessions: Session[]; removedSessionIds: string[]; revision: number } {
    let index = this.#changes.length;
    while (index > 0 && this.#changes[index - 1]!.revision > after) index--;
    const sessions: Session[] = [];
    let revision = this.#revision;
    for (; index < this.#changes.length; index++) {
      const change = this.#changes[index]!;
      if (!this.#isNewest(change)) continue;
      if (sessions.length === BATCH_LENGTH) {
        revision = change.revision - 1;
        break;
      }
      const entry = this.#entries.get(change.sessionId)!;
      if (!filter.takesChange(change.sessionId, entry, after)) continue;
      const session = this.#told.get(change.sessionId) ?? this.#tell(change.sessionId);
      if (session !== undefined && filter.takesParent(session)) sessions.push(session);
    }
    const removed = this.#removed.filter((change) => change.revision > after && change.revision <= revision);
    const removedSessionIds = removed.map(({ sessionId }) => sessionId).filter((id) => filter.takesId(id));
    return { sessions, removedSessionIds, revision };
  }

  #list({ states, parent }: Filter, beforeId: string | undefined): Session[] {
    const page = this.#options.store.listSessions({ states, parent, beforeId, limit: BATCH_LENGTH });
    return page.map((session) => this.#complete(session));
  }

  #look(sessionId: string): Session | undefined {
    const session = this.#options.store.getSession(sessionId);
    return session && this.#complete(cutListed(session));
  }

  #complete(session: Session): Session {
    if (session.spec !== undefined) {
      session.spec.task = cutText(session.spec.task, TASK_BYTES).text;
      session.spec.environment = {};
    }
    return this.#options.complete(session);
  }

  #tell(sessionId: string): Session | undefined {
    const session = this.#look(sessionId);
    if (session === undefined) return undefined;
    this.#told.set(sessionId, session);
    this.#forgetting ??= setTimeout(() => this.#forget(), TOLD_MS).unref();
    return session;
  }

  #forget(): void {
    clearTimeout(this.#forgetting);
    this.#forgetting = undefined;
    this.#told.clear();
  }

  #updates(value: {
    sessions: Session[];
    removedSessionIds: string[];
    cursor: string;
    caughtUp: boolean;
  }): SessionsNews {
    return { case: "updates", value: create(SessionUpdatesSchema, value) };
  }

  #enter(sessionId: string, state: Session_State): void {
    const revision = ++this.#revision;
    this.#told.delete(sessionId);
    const before = this.#entries.get(sessionId);
    const leftAt = before?.leftAt ?? new Map<Session_State, number>();
    if (before !== undefined && before.state !== state) leftAt.set(before.state, revision);
    this.#entries.set(sessionId, { revision, state, leftAt });
    this.#changes.push({ sessionId, revision });
    // Now and then, so that a change costs the same however many there are.
    if (this.#changes.length > 2 * this.#entries.size + BATCH_LENGTH) {
      this.#changes = this.#changes.filter((change) => this.#isNewest(change));
    }
    this.#changed.notify();
  }

  #remove(sessionId: string): void {
    this.#entries.delete(sessionId);
    this.#told.delete(sessionId);
    this.#removed.push({ sessionId, revision: ++this.#revision });
    if (this.#removed.length > MAX_REMOVED) this.#forgotten = this.#removed.shift()!.revision;
    this.#changed.notify();
  }

  #isNewest({ sessionId, revision }: Change): boolean {
    return this.#entries.get(sessionId)?.revision === revision;
  }

  #cursor(revision: number): string {
    return `${this.#life}.${revision}`;
  }

  /** The revision of a cursor; undefined where it is not this feed's. */
  #revisionOf(cursor: string): number | undefined {
    const [life, text = ""] = cursor.split(".");
    const revision = life === this.#life && /^\d{1,15}$/.test(text) ? Number(text) : Infinity;
    return revision <= this.#revision ? revision : undefined;
  }
}

/** Which sessions a reader wants. */
class Filter {
  readonly ids: readonly string[] | undefined;
  readonly states: readonly Session_State[];
  readonly parent: string | undefined;
  readonly #ids: ReadonlySet<string>;

  constructor({ ids = [], states = [], parent }: Pick<WatchSessionsRequest, "ids" | "states" | "parent">) {
    this.#ids = new Set(ids);
    this.ids = ids.length === 0 ? undefined : [...this.#ids];
    this.states = states;
    this.parent = parent;
  }

  takes(session: Session): boolean {
    return (
      this.takesId(session.id) &&
      this.takesParent(session) &&
      (this.states.length === 0 || this.states.includes(session.state))
    );
  }

  /** It is in a wanted state, or has been since a revision. */
  takesChange(sessionId: string, { state, leftAt }: Entry, after: number): boolean {
    if (!this.takesId(sessionId)) return false;
    return (
      this.states.length === 0 || this.states.some((wanted) => wanted === state || (leftAt.get(wanted) ?? 0) > after)
    );
  }

  takesId(sessionId: string): boolean {
    return this.#ids.size === 0 || this.#ids.has(sessionId);
  }

  takesParent({ parent }: Session): boolean {
    return this.parent === undefined || parent === this.parent;
  }
}
