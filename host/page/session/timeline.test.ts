import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { type EventBody, Phase, SessionEventSchema } from "../../../proto/index.ts";
import { recordedSession } from "../../../test/support/recorded-session.ts";
import { drawSpans } from "./draw-spans.ts";
import { timeSpent } from "./time-spent.ts";
import { Timeline } from "./timeline.ts";

const at = (timeMs: number, event: object) =>
  create(SessionEventSchema, { occurTime: timestampFromMs(timeMs), event: event as EventBody });
const toolStarted = (toolUseId: string) => ({
  case: "toolUseStarted",
  value: { toolUseId, name: "Bash", inputJson: '{"command":"make"}' },
});
const toolFinished = (toolUseId: string, failed = false) => ({
  case: "toolUseFinished",
  value: { toolUseId, failed, output: "" },
});
const phase = (of: Phase) => ({ case: "phaseChanged", value: { phase: of } });

function timelineOf(events: readonly ReturnType<typeof at>[]): Timeline {
  const timeline = new Timeline();
  for (const event of events) timeline.add(event);
  return timeline;
}

test("a recorded session has its phases, turns, tools and waiting, to the millisecond", () => {
  const timeline = timelineOf(recordedSession());
  const told = (kind: string) =>
    timeline.spans
      .filter((span) => span.kind === kind)
      .map(({ name, detail, startMs, endMs, failed, row }) =>
        [name, detail, startMs - timeline.startMs, endMs! - startMs, failed, row].slice(0, kind === "phase" ? 4 : 6),
      );
  expect(told("phase")).toEqual([
    ["queued", "", 0, 8],
    ["image", "", 8, 18],
    ["create", "", 26, 43],
    ["start", "", 69, 144],
    ["dial", "", 213, 117],
    ["workspace", "", 330, 136],
    ["setup", "", 466, 42],
    ["claude", "", 508, 264],
    ["first request", "", 772, 70],
    ["work", "", 842, 2051],
    ["collect", "", 2893, 231],
  ]);
  expect(told("turn")).toEqual([
    ["turn 1", "Greet the world", 772, 984, false, 0],
    ["turn 2", "Also say goodbye", 1777, 1063, false, 0],
    ["turn 3", "Enough", 2840, 40, false, 0],
  ]);
  expect(told("tool").slice(-4)).toEqual([
    ["Bash", "sleep 0.3; echo one", 1107, 321, false, 0],
    ["Bash", "sleep 0.2; exit 3", 1113, 537, true, 1],
    ["Bash", "curl -sS https://example.com/", 1686, 35, true, 0],
    ["Bash", "sleep 20", 1816, 1020, true, 0],
  ]);
  expect(told("wait").slice(0, 3)).toEqual([
    ["waits for a permission", "Bash", 961, 8, false, 0],
    ["waits for a permission", "Bash", 1037, 6, false, 0],
    ["waits for an answer", "Which greeting?", 1075, 6, false, 0],
  ]);
  expect(timeline.ended).toBe(true);
  expect(timeline.spans.every(({ endMs }) => endMs !== undefined)).toBe(true);
});

test("what is told of time adds up: turns are tools, waiting and the model, and what overlaps counts once", () => {
  const timeline = timelineOf(recordedSession());
  const rows = timeSpent(timeline, 0);
  const sum = (of: string) => rows.filter((row) => row.of === of).reduce((total, { totalMs }) => total + totalMs, 0);
  expect(sum("phase")).toBe(timeline.lastMs - timeline.startMs);
  expect(sum("turn")).toBe(984 + 1063 + 40);
  const bash = rows.find(({ of, name }) => of === "tool" && name === "Bash")!;
  expect(bash).toMatchObject({ count: 6, longestMs: 1020, fromMs: 942, lasts: false });
  // Two ran side by side.
  expect(bash.totalMs).toBe(51 + 30 + 543 + 35 + 1020);
  const rest = rows.find(({ of }) => of === "claude")!;
  expect(rest.totalMs).toBe(sum("turn") - sum("tool"));
});

test("what lasts grows until now, and what Claude leaves open ends with its turn", () => {
  const timeline = timelineOf([
    at(1000, phase(Phase.WORK)),
    at(1100, { case: "turnStarted", value: { turn: 1, text: "go" } }),
    at(1200, toolStarted("a")),
  ]);
  expect(timeline.spans.map(({ endMs }) => endMs)).toEqual([undefined, undefined, undefined]);
  const bars = () => drawSpans(timeline, { fromMs: 1000, toMs: 2000 }, { width: 1000, nowMs: 1500 }).bars;
  expect(bars().map(({ kind, x, width, lasts }) => [kind, x, width, lasts])).toEqual([
    ["phase", 0, 500, true],
    ["turn", 100, 400, true],
    ["tool", 200, 300, true],
  ]);
  expect(timeSpent(timeline, 1500).map(({ name, totalMs, lasts }) => [name, totalMs, lasts])).toEqual([
    ["work", 500, true],
    ["turn 1", 400, true],
    ["Bash", 300, true],
    ["Claude and its model", 100, true],
  ]);
  timeline.add(at(1600, { case: "turnFinished", value: { turn: 1 } }));
  timeline.add(at(1700, toolFinished("a")));
  expect(timeline.spans.map(({ endMs }) => endMs)).toEqual([undefined, 1600, 1600]);
});

test("the model's answers are spans once they have come, side by side where they overlap, and the rest is Claude's own", () => {
  const answered = (startMs: number, elapsedMs: number, more: object = {}) => ({
    case: "modelAnswered",
    value: {
      model: "a",
      startTime: timestampFromMs(startMs),
      elapsed: durationFromMs(elapsedMs),
      httpStatus: 200,
      ...more,
    },
  });
  const timeline = timelineOf([
    at(1000, { case: "turnStarted", value: { turn: 1 } }),
    at(1400, answered(1200, 200)),
    at(1500, answered(1100, 400, { answeringModel: "b" })),
    at(1700, answered(1600, 100, { httpStatus: 529 })),
    at(2000, { case: "turnFinished", value: { turn: 1 } }),
  ]);
  const told = timeline.spans.map(({ kind, name, startMs, endMs, failed, row }) => [
    kind,
    name,
    startMs,
    endMs,
    failed,
    row,
  ]);
  expect(told.slice(1)).toEqual([
    ["model", "a", 1200, 1400, false, 0],
    ["model", "b", 1100, 1500, false, 1],
    ["model", "a", 1600, 1700, true, 0],
  ]);
  expect(timeSpent(timeline, 0).map(({ name, totalMs, count }) => [name, totalMs, count])).toEqual([
    ["turn 1", 1000, 1],
    ["the model's answers", 500, 3],
    ["Claude itself", 500, 1],
  ]);
});

test("a lost connection is a span, and clocks that go back make none that is shorter than nothing", () => {
  const timeline = timelineOf([
    at(1000, phase(Phase.WORK)),
    at(2000, { case: "connectionLost", value: { reason: "reset" } }),
    at(2500, { case: "connectionRestored", value: { elapsed: durationFromMs(900) } }),
    at(2400, toolStarted("a")),
    at(2300, toolFinished("a")),
  ]);
  expect(timeline.spans.map(({ kind, startMs, endMs }) => [kind, startMs, endMs])).toEqual([
    ["phase", 1000, undefined],
    ["away", 1600, 2500],
    ["tool", 2500, 2500],
  ]);
});

test("a picture has no more bars than it is wide, and no more rows than can be read, whatever a container does", () => {
  const many = Array.from({ length: 50_000 }, (_, index) => [
    at(1000 + index, toolStarted(`${index}`)),
    at(1000 + index, toolFinished(`${index}`, index % 1000 === 0)),
  ]).flat();
  const open = Array.from({ length: 1000 }, (_, index) => at(60_000, toolStarted(`open ${index}`)));
  const timeline = timelineOf([...many, ...open]);
  const { bars, rows } = drawSpans(timeline, { fromMs: 1000, toMs: 61_000 }, { width: 800, nowMs: 61_000 });
  expect(rows).toEqual([{ kind: "tool", first: 0, count: 8 }]);
  expect(bars.length).toBeLessThan(450);
  expect(bars.reduce((sum, { count }) => sum + count, 0)).toBe(51_000);
  expect(bars.every(({ x, width }) => x >= 0 && width > 0 && x + width <= 800)).toBe(true);
  // A failure is seen also where it is one of many.
  expect(bars.filter(({ failed }) => failed).length).toBe(50);
});
