import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import {
  AssistantTextSchema,
  ChangesUpdatedSchema,
  type EventBody,
  MeteredUsageSchema,
  PhaseChangedSchema,
  Phase,
  QueuePositionChangedSchema,
  SessionEventSchema,
  SessionFinishedSchema,
  SessionResultSchema,
  SessionStartedSchema,
  Session_State,
  StateChangedSchema,
  UsageUpdatedSchema,
} from "../../proto/index.ts";
import { SessionProgress } from "./session-progress.ts";
import { clock, statusLine } from "./status-line.ts";
import { painterFor } from "./terminal.ts";
import { Plain, Screen } from "../../test/support/screen.ts";

const START_MS = 1_700_000_000_000;
const NOW_MS = START_MS + 10_000;
const plain = painterFor(new Plain(), {});

function progressOf(...events: EventBody[]): SessionProgress {
  const progress = new SessionProgress("ses_01ARZ3NDEKTSV4RRFFQ69G5FAV");
  const all: EventBody[] = [{ case: "sessionStarted", value: create(SessionStartedSchema) }, ...events];
  for (const [index, event] of all.entries()) {
    const occurTime = timestampFromMs(START_MS + index * 1000);
    progress.add(create(SessionEventSchema, { sequence: index + 1, occurTime, event }));
  }
  return progress;
}

test("shows nothing of a reason that a terminal would obey", () => {
  const reason = "\x1b]0;owned\x07\nFAILED\u202e";
  const result = create(SessionResultSchema, { outcome: { case: "failure", value: { reason } } });
  const value = create(SessionFinishedSchema, { state: Session_State.FAILED, result });
  const failed = statusLine(progressOf({ case: "sessionFinished", value }), { paint: plain, nowMs: NOW_MS });
  expect(failed).toMatch(/ {2}\]0;owned FAILED$/);
});

test("says where a session waits, what it does, and what it has come to", () => {
  const queued = progressOf({
    case: "queuePositionChanged",
    value: create(QueuePositionChangedSchema, { position: 3 }),
  });
  expect(statusLine(queued, { paint: plain, nowMs: NOW_MS })).toMatch(
    /^· {2}…9G5FAV {2}queued {5}10s {2}place 3 in the queue$/,
  );
  const working = progressOf(
    { case: "stateChanged", value: create(StateChangedSchema, { state: Session_State.RUNNING }) },
    { case: "phaseChanged", value: create(PhaseChangedSchema, { phase: Phase.WORK }) },
    { case: "changesUpdated", value: create(ChangesUpdatedSchema, { changeCount: 2 }) },
    { case: "usageUpdated", value: create(UsageUpdatedSchema, { usage: { costUsd: 0.256 } }) },
    { case: "assistantText", value: create(AssistantTextSchema, { text: "I look\nat it \x1b[31m" }) },
  );
  expect(statusLine(working, { paint: plain, nowMs: NOW_MS })).toMatch(/running {3}.*2 files {2}Claude: I look at it/);
  expect(statusLine(working, { paint: plain, nowMs: NOW_MS })).not.toContain("\x1b");
  const result = create(SessionResultSchema, {
    outcome: { case: "failure", value: { reason: "TIMED_OUT" } },
    usage: { costUsd: 3 },
  });
  const value = create(SessionFinishedSchema, { state: Session_State.FAILED, result });
  const failed = progressOf({ case: "sessionFinished", value });
  expect(statusLine(failed, { paint: plain, nowMs: NOW_MS })).toBe("✘  …9G5FAV  failed     1s  TIMED_OUT");
  result.meteredUsage = create(MeteredUsageSchema, { costUsd: 0.256 });
  const counted = progressOf({ case: "sessionFinished", value });
  expect(statusLine(counted, { paint: plain, nowMs: NOW_MS })).toBe("✘  …9G5FAV  failed     1s  $0.26  TIMED_OUT");
});

test("shows time as a clock", () => {
  expect([0.4, 59.9, 60, 3599, 3600, 36_061].map(clock)).toEqual(["0s", "59s", "1:00", "59:59", "1:00:00", "10:01:01"]);
});

test("paints on a terminal only, and not where NO_COLOR is set", () => {
  const screen = new Screen();
  expect(painterFor(screen, {})("red", "x")).toBe("\x1b[31mx\x1b[39m");
  expect(painterFor(screen, { NO_COLOR: "1" })("red", "x")).toBe("x");
  expect(painterFor(screen, { TERM: "dumb" })("red", "x")).toBe("x");
  expect(painterFor(new Plain(), {})("red", "x")).toBe("x");
});

test("of a long queue not every place is a line, but the newest is known", () => {
  const progress = new SessionProgress("ses_1");
  const tell = (position: number, reason = "") => {
    const value = create(QueuePositionChangedSchema, { position, reason });
    return progress.add(create(SessionEventSchema, { event: { case: "queuePositionChanged", value } }));
  };
  const lines = Array.from({ length: 300 }, (_, index) => tell(300 - index)).filter((line) => line !== undefined);
  expect(lines.map((line) => Number(/\d+/.exec(line)))).toEqual([300, 150, 75, 37, 18, 9, 4, 2, 1]);
  expect(progress.session.live?.queuePosition).toBe(1);
  expect(tell(1, "the engine is away")).toContain("the engine is away");
  expect(tell(1, "the engine is away")).toBeUndefined();
  expect(tell(1)).toBe("place 1 in the queue");
});
