import type { Session } from "../../proto/index.ts";
import { SessionProgress } from "../present/session-progress.ts";
import type { Sessions } from "../session/sessions.ts";

interface Watched {
  progress: SessionProgress;
  over: AbortController;
  timer: NodeJS.Timeout;
}

/** Clients that are there for sessions though no call of theirs waits: those that poll a task, or show a form. They count as watching. */
export class Presence implements Disposable {
  readonly #sessions: Pick<Sessions, "watch">;
  readonly #watched = new Map<string, Watched>();

  constructor(sessions: Pick<Sessions, "watch">) {
    this.#sessions = sessions;
  }

  /** Watches a session for so long (ms) from now on, and returns what has been seen of it. */
  keep(session: Session, forMs: number): SessionProgress {
    const { id } = session;
    const watched = this.#watched.get(id) ?? this.#watch(session);
    clearTimeout(watched.timer);
    watched.timer = setTimeout(() => this.#leave(id), Math.min(forMs, MAX_TIMER_MS)).unref();
    return watched.progress;
  }

  [Symbol.dispose](): void {
    for (const id of this.#watched.keys()) this.#leave(id);
  }

  #watch(session: Session): Watched {
    const { id, lastSequence: afterSequence } = session;
    const progress = new SessionProgress(session);
    const over = new AbortController();
    const watched = { progress, over, timer: setTimeout(() => {}, 0) };
    this.#watched.set(id, watched);
    const follow = async () => {
      for await (const events of this.#sessions.watch(id, { afterSequence, signal: over.signal })) {
        for (const event of events) progress.add(event);
      }
    };
    // Whoever asks for the session hears what is wrong.
    void follow()
      .catch(() => {})
      .finally(() => {
        if (this.#watched.get(id) === watched) this.#leave(id);
      });
    return watched;
  }

  #leave(id: string): void {
    const { timer, over } = this.#watched.get(id)!;
    this.#watched.delete(id);
    clearTimeout(timer);
    over.abort();
  }
}

/** The longest that a timer can be set to. */
const MAX_TIMER_MS = 0x7fffffff;
