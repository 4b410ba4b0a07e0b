import { create, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  Decider,
  type EventBody,
  MAX_EVENT_BYTES,
  QuestionAnswerSchema,
  SessionEventSchema,
} from "../../proto/index.ts";
import type { PermissionRequest } from "../claude/parse.ts";
import { Decisions, type Verdict } from "./decisions.ts";

let events: EventBody[];
let told: [requestId: string, verdict: Verdict][];
let waiting: boolean[];
let decisions: Decisions;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
  events = [];
  told = [];
  waiting = [];
  decisions = new Decisions({
    timeoutMs: 60_000,
    emit: (event) => void events.push(event),
    tell: (requestId, verdict) => void told.push([requestId, verdict]),
    onWaiting: (now) => void waiting.push(now),
  });
});

afterEach(() => {
  decisions.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function command(requestId: string, fields: Partial<PermissionRequest> = {}): PermissionRequest {
  return {
    requestId,
    toolUseId: "t1",
    toolName: "Bash",
    description: "List",
    input: { command: "ls" },
    suggestions: [],
    ...fields,
  };
}

function question(requestId: string, count = 1): PermissionRequest {
  const options = ["red", "blue"].map((label) => ({ label, description: "" }));
  const questions = Array.from({ length: count }, (_, index) => ({ question: `Q${index}?`, header: "", options }));
  return command(requestId, { toolName: "AskUserQuestion", input: { questions } });
}

function answers(...values: string[][]) {
  return values.map((each) => create(QuestionAnswerSchema, { values: each }));
}

test("tells what Claude wants, waits, and passes the permission on with the same input", () => {
  decisions.ask(command("r1"));
  expect(events).toMatchObject([
    {
      case: "permissionRequested",
      value: { requestId: "r1", toolUseId: "t1", toolName: "Bash", inputJson: '{"command":"ls"}', description: "List" },
    },
  ]);
  const { expireTime } = (events[0] as Extract<EventBody, { case: "permissionRequested" }>).value;
  expect(timestampMs(expireTime!) - Date.now()).toBe(60_000);
  expect(told).toEqual([]);
  decisions.decide("r1", { allow: true, message: "ignored" });
  expect(told).toEqual([["r1", { allowed: true, input: { command: "ls" } }]]);
  expect(events[1]).toMatchObject({
    case: "permissionDecided",
    value: { requestId: "r1", allowed: true, message: "", decider: Decider.CALLER },
  });
  expect(waiting).toEqual([true, false]);
});

test("tells Claude why not, in the words of whoever decided", () => {
  for (const [requestId, message] of [
    ["r1", "use the other one"],
    ["r2", ""],
  ] as const) {
    decisions.ask(command(requestId));
    decisions.decide(requestId, { allow: false, message });
  }
  expect(told).toMatchObject([
    ["r1", { allowed: false, message: "use the other one" }],
    ["r2", { allowed: false, message: expect.stringContaining("denied") as string }],
  ]);
});

test("denies what nobody decides in time, and leaves a question to Claude", () => {
  decisions.ask(command("r1"));
  decisions.ask(question("r2"));
  vi.advanceTimersByTime(59_999);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(told).toMatchObject([
    ["r1", { allowed: false, message: expect.stringContaining("Nobody decided within 60 s") as string }],
    ["r2", { allowed: false, message: expect.stringContaining("Decide yourself") as string }],
  ]);
  expect(events.slice(2)).toMatchObject([
    { case: "permissionDecided", value: { allowed: false, decider: Decider.TIMEOUT } },
    { case: "questionAnswered", value: { answers: [], decider: Decider.TIMEOUT } },
  ]);
  expect(waiting).toEqual([true, false]);
});

test("passes answers on, in the order of the questions", () => {
  decisions.ask(question("r1", 2));
  const given = answers(["red"], ["blue", "green"]);
  decisions.answer("r1", given);
  expect(told).toMatchObject([["r1", { allowed: true, input: { answers: { "Q0?": "red", "Q1?": "blue, green" } } }]]);
  expect(events[1]).toMatchObject({ case: "questionAnswered", value: { answers: given, decider: Decider.CALLER } });
});

test("takes one decision for each request, and only of its kind", () => {
  decisions.ask(command("r1"));
  decisions.ask(question("r2"));
  const decide = (requestId: string) => () => decisions.decide(requestId, { allow: true, message: "" });
  const answer = (requestId: string) => () => decisions.answer(requestId, answers(["red"]));
  expect(decide("nobody")).toThrow(expect.objectContaining({ reason: "DECISION_UNKNOWN" }));
  expect(decide("r2")).toThrow(expect.objectContaining({ reason: "DECISION_MISMATCH" }));
  expect(answer("r1")).toThrow(expect.objectContaining({ reason: "DECISION_MISMATCH" }));
  expect(told).toEqual([]);
  decide("r1")();
  answer("r2")();
  expect(decide("r1")).toThrow(expect.objectContaining({ reason: "DECISION_MADE" }));
  expect(answer("r2")).toThrow(expect.objectContaining({ reason: "DECISION_MADE" }));
  expect(told).toHaveLength(2);
});

test.each([
  ["too few answers", answers(["red"])],
  ["too many answers", answers(["red"], ["red"], ["red"])],
  ["an answer without a word", answers(["red"], [" "])],
  ["an answer without a value", answers([], ["red"])],
  ["a book", answers(["red"], ["x".repeat(40_000)])],
  ["a thousand books of nothing", answers(["red"], ["x", ...Array<string>(5000).fill("")])],
])("refuses %s, and goes on waiting", (_name, given) => {
  decisions.ask(question("r1", 2));
  expect(() => decisions.answer("r1", given)).toThrow(expect.objectContaining({ reason: "ANSWER_INVALID" }));
  decisions.answer("r1", answers(["red"], ["blue"]));
  expect(told).toHaveLength(1);
});

test("says that something has ended before it was decided, and tells Claude nothing", () => {
  decisions.ask(command("r1"));
  decisions.ask(command("r2"));
  decisions.withdraw("r1");
  decisions.withdraw("r1");
  decisions.close();
  expect(told).toEqual([]);
  expect(events.slice(2)).toMatchObject([
    { case: "permissionDecided", value: { requestId: "r1", decider: Decider.END } },
    { case: "permissionDecided", value: { requestId: "r2", decider: Decider.END } },
  ]);
});

test("waits while anything waits", () => {
  decisions.ask(command("r1"));
  decisions.ask(command("r1"));
  decisions.ask(command("r2"));
  decisions.decide("r2", { allow: true, message: "" });
  expect(waiting).toEqual([true]);
  decisions.decide("r1", { allow: true, message: "" });
  expect(waiting).toEqual([true, false]);
});

test("answers at once what it cannot show, and what is too much", () => {
  decisions.ask(command("r0", { toolName: "AskUserQuestion", input: {} }));
  for (let index = 1; index <= 101; index++) decisions.ask(command(`r${index}`));
  expect(told.map(([requestId, { allowed }]) => [requestId, allowed])).toEqual([
    ["r0", false],
    ["r101", false],
  ]);
});

test("makes no event that is too large", () => {
  const long = "x".repeat(1_000_000);
  decisions.ask(command("r1", { description: long, input: { command: long, list: Array(10_000).fill("y") } }));
  decisions.decide("r1", { allow: false, message: long });
  decisions.ask(question("r2"));
  decisions.answer("r2", answers(Array<string>(3000).fill("xx")));
  for (const event of events) {
    const bytes = toBinary(SessionEventSchema, create(SessionEventSchema, { sequence: 1, event }));
    expect(bytes.length).toBeLessThan(MAX_EVENT_BYTES);
  }
});
