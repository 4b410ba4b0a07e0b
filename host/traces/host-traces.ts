import { setImmediate as turn } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Logger } from "pino";
import type { NewEvent, SessionStore } from "../store/session-store.ts";
import { SpanPush, type SpanPushOptions } from "./span-push.ts";
import { SessionSpans } from "./session-spans.ts";

const BATCH_LENGTH = 256;

/** Where the sessions are, and where their traces go. */
export interface HostTracesOptions extends SpanPushOptions {
  store: Pick<SessionStore, "onStored" | "getSession" | "read">;
  /** Sessions that an earlier host left. */
  resumedSessionIds: readonly string[];
  logger: Logger;
}

/** Session whose log is read. */
interface Traced {
  spans: SessionSpans;
  /** Events that came while the ones before them were read. Undefined: these have been. */
  later: NewEvent[] | undefined;
}

/** Traces of the sessions, from their events as they are stored. Dispose of them for the last push. */
export class HostTraces implements AsyncDisposable {
  readonly #options: HostTracesOptions;
  readonly #push: SpanPush;
  readonly #live = new Map<string, Traced>();
  #subscription: Disposable | undefined;
  #over = false;

  private constructor(options: HostTracesOptions) {
    this.#options = options;
    this.#push = new SpanPush(options);
  }

  /**
   * Listens to the store. Of the sessions that an earlier host left the spans so far are made anew: nobody knows what a host
   * that was killed has pushed of them, and they have the ids that they had.
   */
  static start(options: HostTracesOptions): HostTraces {
    const traces = new HostTraces(options);
    const { store, resumedSessionIds, logger } = options;
    for (const sessionId of resumedSessionIds) {
      const traced = { spans: traces.#spansOf(sessionId), later: [] };
      traces.#live.set(sessionId, traced);
      const { lastSequence = 0 } = store.getSession(sessionId) ?? {};
      void traces.#catchUp(sessionId, traced, lastSequence).catch((err: unknown) => {
        traces.#live.delete(sessionId);
        logger.warn({ err, sessionId }, "session is not traced");
      });
    }
    traces.#subscription = store.onStored((sessionId, events) => traces.#read(sessionId, events));
    return traces;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    this.#subscription?.[Symbol.dispose]();
    await this.#push[Symbol.asyncDispose]();
  }

  #spansOf(sessionId: string): SessionSpans {
    return new SessionSpans(sessionId, (span) => (span ? this.#push.add(span) : this.#options.onDropped(1)));
  }

  #read(sessionId: string, events: readonly NewEvent[]): void {
    let traced = this.#live.get(sessionId);
    if (traced === undefined) {
      // None that began before us.
      if (events[0]?.event.case !== "sessionStarted") return;
      this.#live.set(sessionId, (traced = { spans: this.#spansOf(sessionId), later: undefined }));
    }
    if (traced.later !== undefined) traced.later.push(...events);
    else this.#fold(sessionId, traced.spans, events);
  }

  #fold(sessionId: string, spans: SessionSpans, events: readonly NewEvent[]): void {
    for (const { event, occurTimeMs } of events) {
      spans.read(event, occurTimeMs);
      if (event.case === "sessionFinished") this.#live.delete(sessionId);
    }
  }

  /** Reads what is stored up to an event, and then what has come meanwhile. */
  async #catchUp(sessionId: string, traced: Traced, lastSequence: number): Promise<void> {
    const { store } = this.#options;
    for (let after = 0; after < lastSequence && !this.#over; await turn()) {
      const limit = Math.min(BATCH_LENGTH, lastSequence - after);
      const page = store.read(sessionId, { afterSequence: after, limit });
      if (page.length === 0) break;
      const events = page.map(({ event, occurTime }) => ({
        event,
        occurTimeMs: occurTime ? timestampMs(occurTime) : 0,
      }));
      this.#fold(sessionId, traced.spans, events as NewEvent[]);
      after = page.at(-1)!.sequence;
    }
    const { later = [] } = traced;
    traced.later = undefined;
    this.#fold(sessionId, traced.spans, later);
  }
}
