import { emptySession, foldEvent, isFinal, type Session, type SessionEvent } from "../../proto/index.ts";
import { progressLine } from "./progress-line.ts";

/** As many lines as are worth keeping of what a session has been doing. */
const MAX_LINES = 12;

/** Progress of a session, by its events: the session as they tell it, and the newest lines about them. */
export class SessionProgress {
  readonly session: Session;
  /** Newest lines of progress, oldest first. */
  readonly lines: string[] = [];
  /** Line on an obstacle that no event can tell. Empty: there is none. */
  waiting = "";
  /** What was said last of the queue. */
  #toldPlace = { position: Infinity, reason: "" };

  /** Begins with the session as it is known. Default: only its id is. */
  constructor(known: string | Session) {
    this.session = typeof known === "string" ? emptySession(known) : known;
  }

  /** Adds the next event. Returns its line, if it is worth one. */
  add(entry: SessionEvent): string | undefined {
    foldEvent(this.session, entry);
    return this.note(entry);
  }

  /** Takes what no event tells: cost, and what the session waits for. Returns a line if something is worth one. */
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

  /** Adds an event that the session as it is known holds already. Returns its line, if it is worth one. */
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
