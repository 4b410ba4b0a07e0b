import { dollars, isFinal, type Session, Session_State } from "../../proto/index.ts";
import { oneLine } from "./plain-text.ts";
import { plural } from "./plural.ts";
import type { SessionProgress } from "./session-progress.ts";
import { elapsedSeconds, stateName } from "./session-summary.ts";
import type { Paint } from "./terminal.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 120;
const REASON_LENGTH = 100;

/** Returns a session in one line: its state, its time, what it has come to, what it does. */
export function statusLine(progress: SessionProgress, { paint, nowMs }: { paint: Paint; nowMs: number }): string {
  const { session, waiting } = progress;
  const { state, live } = session;
  const { queuePosition = 0 } = live ?? {};
  const facts = [clock(elapsedSeconds(session, nowMs)), ...comeTo(session)];
  const doing = isFinal(state)
    ? ending(progress)
    : waiting !== ""
      ? waiting
      : queuePosition > 0
        ? `place ${queuePosition} in the queue`
        : (progress.lines.at(-1) ?? "");
  return [
    sign(state, paint, nowMs),
    shortId(session.id),
    paint(styleOf(state), stateName(state).padEnd(9)),
    paint("dim", facts.join("  ")),
    doing,
  ].join("  ");
}

/** Returns what a session has come to: its changed files and its cost, as far as there are any. */
export function comeTo({ result, live }: Session): string[] {
  const { changeCount = 0, meteredUsage } = result ?? live ?? {};
  const { costUsd = 0 } = meteredUsage ?? {};
  return [...(changeCount > 0 ? [plural(changeCount, "file")] : []), ...(costUsd > 0 ? [dollars(costUsd)] : [])];
}

/** Returns the end of an id. Its start is the time, and much the same for all. */
export function shortId(sessionId: string): string {
  return `…${sessionId.slice(-6)}`;
}

/** Returns a duration as a clock shows it: 12s, 3:05, 1:02:03. */
export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole}s`;
  const pad = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${pad(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(whole % 60)}`;
}

function ending({ session: { result } }: SessionProgress): string {
  switch (result?.outcome.case) {
    case "failure":
    case "cancellation":
      return oneLine(result.outcome.value.reason, REASON_LENGTH);
    default:
      return "";
  }
}

function sign(state: Session_State, paint: Paint, nowMs: number): string {
  switch (state) {
    case Session_State.SUCCEEDED:
      return paint("green", "✔");
    case Session_State.FAILED:
      return paint("red", "✘");
    case Session_State.CANCELED:
      return paint("yellow", "■");
    case Session_State.QUEUED:
    case Session_State.IDLE:
    case Session_State.WAITING:
      return paint("cyan", "·");
    default:
      return paint("cyan", FRAMES[Math.floor(nowMs / FRAME_MS) % FRAMES.length]!);
  }
}

/** Returns the colour of a state, the same everywhere. */
export function styleOf(state: Session_State): Parameters<Paint>[0] {
  switch (state) {
    case Session_State.SUCCEEDED:
      return "green";
    case Session_State.FAILED:
      return "red";
    case Session_State.CANCELED:
    case Session_State.WAITING:
      return "yellow";
    default:
      return "cyan";
  }
}
