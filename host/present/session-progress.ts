import {
  emptySession,
  type FileChange,
  foldEvent,
  NO_ANSWER,
  PendingDecisions,
  type Session,
  type SessionEvent,
  TurnAnswers,
  type Usage,
} from "../../proto/index.ts";
import { progressLine } from "./progress-line.ts";

/** As many lines as are worth keeping of what a session has been doing. */
const MAX_LINES = 12;

/** What can be said of a session at a glance, from its events: more than the session itself holds while it is live. */
export class SessionProgress {
  readonly session: Session;
  changes: readonly FileChange[] = [];
  changeCount = 0;
  /** What Claude says that it has used; what it cost is the host's to say. */
  usage: Usage | undefined;
  /** In USD, as the host has counted it. Undefined until that is known, at the end. */
  costUsd: number | undefined;
  /** Claude's answer at the end of the last turn that had one. */
  answer = NO_ANSWER;
  readonly #answers = new TurnAnswers();
  /** The newest lines of progress, oldest first. */
  readonly lines: string[] = [];
  /** Place in the queue, from 1; 0 outside of it. */
  queuePosition = 0;
  /** What it waits for that no event can say, as a line. Empty: nothing. */
  waiting = "";
  /** What was said last of the queue. */
  #toldPlace = { position: Infinity, reason: "" };
  /** What Claude waits for. */
  readonly decisions = new PendingDecisions();

  constructor(sessionId: string) {
    this.session = emptySession(sessionId);
  }

  /** Takes the next event. Returns what it is worth saying of it, if anything. */
  add(entry: SessionEvent): string | undefined {
    foldEvent(this.session, entry);
    this.decisions.add(entry);
    const { event } = entry;
    switch (event.case) {
      case "changesUpdated":
        this.changes = event.value.changes;
        this.changeCount = event.value.changeCount;
        break;
      case "usageUpdated":
        this.usage = event.value.usage ?? this.usage;
        break;
      case "answerPart":
        this.#answers.add(event.value);
        break;
      case "turnFinished": {
        this.usage = event.value.usage ?? this.usage;
        const answer = this.#answers.of(event.value);
        if (answer.text !== "") this.answer = answer;
        break;
      }
      case "queuePositionChanged":
        this.queuePosition = event.value.position;
        break;
      case "phaseChanged":
        this.queuePosition = 0;
        break;
      case "sessionFinished":
        if (event.value.result !== undefined) {
          this.changes = event.value.result.changes;
          this.changeCount = event.value.result.changeCount;
          this.usage = event.value.result.usage ?? this.usage;
          this.costUsd = event.value.result.meteredUsage?.costUsd;
        }
        break;
      default:
        break;
    }
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
