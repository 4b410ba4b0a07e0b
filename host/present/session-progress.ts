import { emptySession, foldEvent, isFinal, type Session, type SessionEvent } from "../../proto/index.ts";
import { progressLine } from "./progress-line.ts";

/** As many lines as are worth keeping of what a session has been doing. */
const MAX_LINES = 12;

/** A session as its events show it, with the newest of what they are worth saying. */
export class SessionProgress {
  readonly session: Session;
  /** The newest lines of progress, oldest first. */
  readonly lines: string[] = [];
  /** What it waits for that no event can say, as a line. Empty: nothing. */
  waiting = "";
  /** What was said last of the queue. */
  #toldPlace = { position: Infinity, reason: "" };

  /** Begins with the session as it is known; by default with nothing but its id. */
  constructor(known: string | Session) {
    this.session = typeof known === "string" ? emptySession(known) : known;
  }

  /** Takes the next event. Returns what it is worth saying of it, if anything. */
  add(entry: SessionEvent): string | undefined {
    foldEvent(this.session, entry);
    return this.note(entry);
  }

  /**
   * Takes what no event says of the session as it is now: what it has cost, what it waits for. Returns what it is worth saying
   * of it, if anything.
   */
  look({ state, live, waitingReason }: Session): string | undefined {
    if (this.session.live !== undefined && live?.meteredUsage !== undefined) {
      this.session.live.meteredUsage = live.meteredUsage;
    }
    const waiting = waitingReason === "" ? "" : `waiting: ${waitingReason}`;
    if (waiting === this.waiting) return undefined;
    this.waiting = waiting;
    if (waiting !== "") return waiting;
    return isFinal(state) ? undefined : "it goes on";
  }

  /** Notes what an event is worth saying, which the session as it is known holds already. Returns it, if anything. */
  note(entry: SessionEvent): string | undefined {
    const line = this.#isWorthALine(entry) ? progressLine(entry) : undefined;
    if (line !== undefined && line !== "") {
      this.lines.push(line);
      if (this.lines.length > MAX_LINES) this.lines.shift();
    }
    return line;
  }

  /** A place in the queue is told again once it has halved, or the reason to wait is another: who wants each asks for events. */
  #isWorthALine({ event }: SessionEvent): boolean {
    if (event.case !== "queuePositionChanged") return true;
    const { position, reason } = event.value;
    if (position * 2 > this.#toldPlace.position && reason === this.#toldPlace.reason) return false;
    this.#toldPlace = { position, reason };
    return true;
  }
}
