import { Code, ConnectError } from "@connectrpc/connect";
import type { Session } from "../../../proto/index.ts";
import { sessionService } from "../client.ts";
import { liveStream } from "../parts/live-stream.ts";

/** First and longest pause before the host is called again (ms). */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

/** Whether what is shown is what the host has now. */
export type FeedStatus = "connecting" | "live" | "lost" | "signed-out";

/** All sessions of the host, by one stream, which is taken up again where it broke off. Tells of each change by "change". */
export class SessionFeed extends EventTarget {
  /** By their ids. */
  readonly sessions = new Map<string, Session>();
  /** Raised with each change. */
  version = 0;
  status: FeedStatus = "connecting";
  #cursor = "";
  #wake = () => {};

  /** Follows the sessions until the signal. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        for await (const live of this.#follow(signal)) {
          if (!live) continue;
          pauseMs = FIRST_PAUSE_MS;
          if (this.status !== "live") this.#enter("live");
        }
      } catch (error) {
        if (signal.aborted) return;
        if (ConnectError.from(error).code === Code.Unauthenticated) return this.#enter("signed-out");
      }
      if (signal.aborted) return;
      // Out of sight it was let go of.
      this.#enter(document.hidden ? "connecting" : "lost");
      await this.#rest(pauseMs, signal);
    }
  }

  /** Tries again at once, where it waits. */
  retry(): void {
    this.#wake();
  }

  /** Yields after each message whether all is known. */
  async *#follow(signal: AbortSignal): AsyncGenerator<boolean> {
    const stale = new Set<string>();
    const open = (signal: AbortSignal) => sessionService.watchSessions({ cursor: this.#cursor }, { signal });
    for await (const { response } of liveStream(open, { signal, background: true })) {
      if (response.case === "hello") {
        stale.clear();
        if (!response.value.resumed) for (const id of this.sessions.keys()) stale.add(id);
      }
      if (response.case !== "updates") {
        yield false;
        continue;
      }
      const { sessions, removedSessionIds, cursor, caughtUp } = response.value;
      for (const session of sessions) {
        stale.delete(session.id);
        this.sessions.set(session.id, session);
      }
      for (const id of removedSessionIds) this.sessions.delete(id);
      if (cursor !== "") this.#cursor = cursor;
      if (caughtUp) {
        for (const id of stale) this.sessions.delete(id);
        stale.clear();
      }
      this.#changed();
      yield caughtUp;
    }
  }

  #enter(status: FeedStatus): void {
    this.status = status;
    this.#changed();
  }

  #changed(): void {
    this.version += 1;
    this.dispatchEvent(new Event("change"));
  }

  #rest(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
