import { Code, ConnectError } from "@connectrpc/connect";
import type { WatchEventsResponse } from "../../../proto/control.ts";
import { decisionAsked, isFinal, type PendingDecision, type Session, type SessionEvent } from "../../../proto/index.ts";
import { SessionProgress } from "../../present/session-progress.ts";
import { sessionService } from "../client.ts";
import { Pauses } from "../parts/pauses.ts";
import { watchEvents } from "../parts/watch-events.ts";
import { Connections } from "./connections.ts";
import { Feed } from "./feed.ts";
import { Timeline } from "./timeline.ts";
import { UsageOverTime } from "./usage.ts";

/** Whether what is known of a session is what the host has now. */
export type LogStatus = { name: "reading" | "live" | "whole" | "lost" } | { name: "refused"; error: unknown };

/** All there is to know of one session, by its events. Each change is told by "change". */
export class SessionLog extends EventTarget {
  readonly #progress: SessionProgress;
  readonly timeline = new Timeline();
  readonly feed = new Feed();
  readonly connections = new Connections();
  readonly usage = new UsageOverTime();
  /** The model that Claude Code says it uses. Empty: it has not said so. */
  model = "";
  status: LogStatus = { name: "reading" };
  /** Whether it had finished when it was first seen. Undefined: it was not seen yet. */
  wasOver: boolean | undefined;
  /** Raised with each change. */
  version = 0;
  /** What is pending was asked by these. */
  readonly #asked = new Map<string, PendingDecision>();

  constructor(sessionId: string) {
    super();
    this.#progress = new SessionProgress(sessionId);
  }

  /** The session as its events tell it, and once it has finished as the host keeps it. */
  get session(): Session {
    return this.#progress.session;
  }

  /** The newest line on what it does. Empty: none. */
  get doing(): string {
    return this.#progress.waiting || (this.#progress.lines.at(-1) ?? "");
  }

  /** What waits for a decision, oldest first. */
  get pending(): PendingDecision[] {
    return this.session.pendingRequests.flatMap(({ requestId }) => this.#asked.get(requestId) ?? []);
  }

  /** Reads the log until its end or the signal, and goes on after the newest event where it is cut off. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const pauses = new Pauses();
    while (!signal.aborted) {
      try {
        const after = { sessionId: this.session.id, afterSequence: this.session.lastSequence };
        for await (const response of watchEvents(after, { signal })) {
          pauses.reset();
          this.#take(response);
        }
        if (isFinal(this.session.state)) return await this.#complete(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (isRefusal(error)) return this.#enter({ name: "refused", error });
      }
      this.#enter({ name: "lost" });
      await pauses.rest(signal);
    }
  }

  /** Takes the session as the host lists it, with what no event tells: its cost, what it waits for, where its changes went. */
  look(known: Session): void {
    this.#progress.look(known);
    this.session.waitingReason = known.waitingReason;
    if (known.taken === undefined) delete this.session.taken;
    else this.session.taken = known.taken;
    this.#changed();
  }

  #take({ response }: WatchEventsResponse): void {
    if (response.case === "session") {
      this.wasOver ??= isFinal(response.value.state);
      this.look(response.value);
    }
    if (response.case === "events") for (const event of response.value.events) this.#add(event);
    if (response.case === "session" || response.case === "events") this.#enter({ name: "live" });
  }

  #add(event: SessionEvent): void {
    // The host sends each once; what comes again would be counted twice.
    if (event.sequence <= this.session.lastSequence) return;
    this.#progress.add(event);
    for (const part of [this.timeline, this.feed, this.connections, this.usage]) part.add(event);
    if (event.event.case === "claudeReady") this.model = event.event.value.model;
    const asked = decisionAsked(event);
    if (asked !== undefined) this.#asked.set(asked.request.requestId, asked);
    if (this.#asked.size <= this.session.pendingRequests.length) return;
    // Decided, or more than anybody waits for.
    const waiting = new Set(this.session.pendingRequests.map(({ requestId }) => requestId));
    for (const requestId of this.#asked.keys()) if (!waiting.has(requestId)) this.#asked.delete(requestId);
  }

  /** The last event has the result cut; the host has the whole. */
  async #complete(signal: AbortSignal): Promise<void> {
    const { session } = await sessionService.getSession({ sessionId: this.session.id }, { signal });
    if (session?.result !== undefined) this.session.result = session.result;
    if (session !== undefined) this.look(session);
    this.#enter({ name: "whole" });
  }

  #enter(status: LogStatus): void {
    this.status = status;
    this.#changed();
  }

  #changed(): void {
    this.version += 1;
    this.dispatchEvent(new Event("change"));
  }
}

/** Whether it would be refused again. */
function isRefusal(error: unknown): boolean {
  const refusals = [Code.NotFound, Code.Unauthenticated, Code.PermissionDenied, Code.InvalidArgument];
  return refusals.includes(ConnectError.from(error).code);
}
