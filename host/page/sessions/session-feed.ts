import { Code, ConnectError } from "@connectrpc/connect";
import type { Session } from "../../../proto/index.ts";
import { sessionService } from "../client.ts";
import { liveStream } from "../parts/live-stream.ts";
import { Pauses } from "../parts/pauses.ts";

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
  readonly #pauses = new Pauses();

  /** Follows the sessions until the signal. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const live of this.#follow(signal)) {
          if (!live) continue;
          this.#pauses.reset();
          if (this.status !== "live") this.#enter("live");
        }
      } catch (error) {
        if (signal.aborted) return;
        if (ConnectError.from(error).code === Code.Unauthenticated) return this.#enter("signed-out");
      }
      if (signal.aborted) return;
      // Out of sight it was let go of.
      this.#enter(document.hidden ? "connecting" : "lost");
      await this.#pauses.rest(signal);
    }
  }

  /** Tries again at once, where it waits. */
  retry(): void {
    this.#pauses.wake();
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
}
