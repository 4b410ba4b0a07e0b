import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import {
  ModelAnsweredSchema,
  Phase,
  PhaseChangedSchema,
  SessionFinishedSchema,
  SessionStartedSchema,
  Session_State,
  ToolUseFinishedSchema,
  ToolUseStartedSchema,
  TurnFinishedSchema,
  TurnStartedSchema,
  type EventBody,
} from "../../proto/index.ts";
import { type EndedSpan, SessionSpans } from "./session-spans.ts";

const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

const started = (traceParent = ""): EventBody => ({
  case: "sessionStarted",
  value: create(SessionStartedSchema, { spec: { task: "secret task", model: "opus", traceParent } }),
});
const phase = (phase: Phase): EventBody => ({ case: "phaseChanged", value: create(PhaseChangedSchema, { phase }) });
const turnStarted = (turn: number): EventBody => ({
  case: "turnStarted",
  value: create(TurnStartedSchema, { turn, text: "secret message" }),
});
const turnFinished = (turn: number, reason?: string): EventBody => ({
  case: "turnFinished",
  value: create(TurnFinishedSchema, { turn, text: "secret answer", ...(reason && { failure: { reason } }) }),
});
const tool = (toolUseId: string, parentToolUseId = "", name = "Bash"): EventBody => ({
  case: "toolUseStarted",
  value: create(ToolUseStartedSchema, { toolUseId, name, parentToolUseId, inputJson: '{"command":"secret"}' }),
});
const toolDone = (toolUseId: string, failed = false): EventBody => ({
  case: "toolUseFinished",
  value: create(ToolUseFinishedSchema, { toolUseId, failed, output: "secret output" }),
});
const answered = (startMs: number, fields: object = {}): EventBody => ({
  case: "modelAnswered",
  value: create(ModelAnsweredSchema, {
    model: "opus",
    answeringModel: "opus-1",
    startTime: timestampFromMs(startMs),
    answerDelay: durationFromMs(20),
    elapsed: durationFromMs(100),
    httpStatus: 200,
    usage: {
      requestCount: 1,
      inputTokenCount: 10n,
      outputTokenCount: 5n,
      cacheReadTokenCount: 100n,
      cacheWriteTokenCount: 7n,
      costUsd: 0.5,
    },
    ...fields,
  }),
});
const finished = (state = Session_State.SUCCEEDED, result: object = { changeCount: 2 }): EventBody => ({
  case: "sessionFinished",
  value: create(SessionFinishedSchema, { state, result }),
});

function spansOf(...log: [EventBody, number][]): EndedSpan[] {
  const spans: EndedSpan[] = [];
  const fold = new SessionSpans("ses_1", (span) => span && spans.push(span));
  for (const [event, timeMs] of log) fold.read(event, timeMs);
  return spans;
}

/** "name(parent) start-end error", in the order of their ends. */
function treeOf(spans: EndedSpan[]): string[] {
  const nameOf = (id: string | undefined) => spans.find(({ spanId }) => spanId === id)?.name ?? "none";
  return spans.map(({ name, parentSpanId, startMs, endMs, error }) =>
    `${name} (${nameOf(parentSpanId)}) ${startMs}-${endMs} ${error ?? ""}`.trim(),
  );
}

const LOG: [EventBody, number][] = [
  [started(), 0],
  [phase(Phase.QUEUED), 0],
  [phase(Phase.WORK), 10],
  [turnStarted(1), 20],
  [tool("a", "", "Task"), 200],
  [tool("b", "a"), 210],
  [toolDone("b", true), 220],
  [answered(30), 230],
  [toolDone("a"), 240],
  [turnFinished(1), 300],
  [answered(299), 400],
  [answered(350, { httpStatus: 529, answeringModel: "", usage: undefined }), 450],
  [phase(Phase.COLLECT), 500],
  [finished(), 600],
];

test("a session is a tree of phases, turns, requests and tools, with the same ids each time", () => {
  const spans = spansOf(...LOG);
  expect(treeOf(spans)).toEqual([
    "phase queued (invoke_agent claude) 0-10",
    "execute_tool Bash (execute_tool Task) 210-220 tool_error",
    "chat opus (turn) 30-130",
    "execute_tool Task (turn) 200-240",
    "turn (invoke_agent claude) 20-300",
    "chat opus (turn) 299-399",
    "chat opus (invoke_agent claude) 350-450 529",
    "phase work (invoke_agent claude) 10-500",
    "phase collect (invoke_agent claude) 500-600",
    "invoke_agent claude (none) 0-600",
  ]);
  expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
  expect(spansOf(...LOG)).toEqual(spans);
});

test("the names are those of the conventions, and nothing that was said is in them", () => {
  const spans = spansOf(...LOG);
  const [request] = spans.filter(({ name }) => name === "chat opus");
  expect(request).toMatchObject({
    client: true,
    attributes: {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "anthropic",
      "gen_ai.conversation.id": "ses_1",
      "gen_ai.request.model": "opus",
      "gen_ai.response.model": "opus-1",
      "gen_ai.response.time_to_first_chunk": 0.02,
      "gen_ai.usage.input_tokens": 117,
      "gen_ai.usage.output_tokens": 5,
      "gen_ai.usage.cache_read.input_tokens": 100,
      "gen_ai.usage.cache_write.input_tokens": 7,
      "http.response.status_code": 200,
    },
  });
  expect(spans.at(-1)!.attributes).toMatchObject({
    "gen_ai.operation.name": "invoke_agent",
    "claudecluster.session.state": "succeeded",
    "claudecluster.change_count": 2,
  });
  expect(JSON.stringify(spans)).not.toContain("secret");
});

test("joins the trace of who asked for it, and is not recorded where that is not", () => {
  const log = (parent: string) => spansOf([started(parent), 0], [phase(Phase.QUEUED), 0], [finished(), 5]);
  const spans = log(PARENT);
  expect(spans.map(({ traceId }) => traceId)).toEqual(Array(2).fill("0af7651916cd43dd8448eb211c80319c"));
  expect(spans.at(-1)).toMatchObject({ parentSpanId: "b7ad6b7169203331", remoteParent: true });
  expect(log(PARENT.replace(/01$/, "00"))).toEqual([]);
});

test("what Claude's death left open ends with the session, as a failure", () => {
  const failed = finished(Session_State.FAILED, { outcome: { case: "failure", value: { reason: "CLAUDE_DIED" } } });
  const log: [EventBody, number][] = [
    [started(), 0],
    [phase(Phase.WORK), 0],
    [turnStarted(1), 1],
    [tool("a"), 2],
    [failed, 9],
  ];
  expect(treeOf(spansOf(...log))).toEqual([
    "execute_tool Bash (turn) 2-9 lost",
    "turn (invoke_agent claude) 1-9 lost",
    "phase work (invoke_agent claude) 0-9",
    "invoke_agent claude (none) 0-9 CLAUDE_DIED",
  ]);
});

test("a container that floods it gets no more than its share, its own names are cut, and the session is there all the same", () => {
  let count = 0;
  let dropped = 0;
  const last: EndedSpan[] = [];
  const fold = new SessionSpans("ses_1", (span) => (span === undefined ? dropped++ : (count++, (last[0] = span))));
  fold.read(started(), 0);
  for (let i = 0; i < 30_000; i++) {
    fold.read(tool(`t${i}`, "", "x".repeat(5000)), i);
    if (i % 1000 !== 0) fold.read(toolDone(`t${i}`), i);
    if (i === 5) expect(last[0]!.name.length).toBeLessThan(150);
  }
  fold.read(finished(), 30_000);
  expect(dropped).toBeGreaterThan(0);
  expect(count).toBeLessThanOrEqual(20_001);
  expect(last[0]!.name).toBe("invoke_agent claude");
});
