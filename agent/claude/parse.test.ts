import { readdirSync, readFileSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { type EventBody, MAX_EVENT_BYTES, SessionEventSchema } from "../../proto/index.ts";
import type { ClaudeResult } from "./claude-result.ts";
import { type ParsedLine, parseLine } from "./parse.ts";
import { UsageMeter } from "./usage-meter.ts";

const RECORDINGS = new URL("../../test/model/recordings/", import.meta.url);

function recording(name: string): ParsedLine[] {
  const text = readFileSync(new URL(`${name}.jsonl`, RECORDINGS));
  return text
    .toString("latin1")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => parseLine(Buffer.from(line, "latin1")));
}

function parse(line: unknown): ParsedLine {
  return parseLine(Buffer.from(typeof line === "string" ? line : JSON.stringify(line)));
}

function events<C extends EventBody["case"]>(lines: ParsedLine[], kind: C): Extract<EventBody, { case: C }>["value"][] {
  return lines.flatMap((line) => line.events).flatMap((event) => (event.case === kind ? [event.value as never] : []));
}

function results(lines: ParsedLine[]): ClaudeResult[] {
  return lines.flatMap(({ notice }) => (notice?.kind === "result" ? [notice.result] : []));
}

function sizeOf(event: EventBody): number {
  return toBinary(SessionEventSchema, create(SessionEventSchema, { sequence: 1, event })).length;
}

test.each(readdirSync(RECORDINGS).map((file) => file.replace(".jsonl", "")))("every event of %s fits", (name) => {
  const all = recording(name).flatMap((line) => line.events);
  expect(all.length).toBeGreaterThan(0);
  for (const event of all) expect(sizeOf(event)).toBeLessThan(MAX_EVENT_BYTES);
});

// Nobody asks for partial messages here.
const FULL = readdirSync(RECORDINGS).filter((file) => file !== "partial-messages.jsonl");

test.each(FULL.map((file) => file.replace(".jsonl", "")))("knows every line of %s", (name) => {
  expect(events(recording(name), "unrecognizedLine").map(({ line }) => Buffer.from(line).toString())).toEqual([]);
});

test("tells what Claude Code does to an answer that was cut or stopped, or not given", () => {
  const told = (name: string) =>
    events(recording(name), "claudeNotice").map(({ text, saidToClaude }) => [saidToClaude, text]);
  expect(told("stop-reason-max-tokens")).toEqual([[true, expect.stringMatching(/^Output token limit hit/)]]);
  expect(told("stop-reason-refusal")).toEqual([
    [false, expect.stringContaining("safeguards stopped the response")],
    [true, expect.stringMatching(/^Your response above was stopped/)],
  ]);
  expect(told("stop-reason-refusal-always").at(-1)).toEqual([false, expect.stringMatching(/^API Error: .*safeguards/)]);
  expect(told("no-answer")).toEqual([[true, expect.stringContaining("no visible output")]]);
  expect(told("background-task")).toEqual([[false, expect.stringContaining("completed (exit code 0)")]]);
  expect(told("long-command")).toEqual([]);
});

test("says nothing of what Claude Code tells an interface while it takes its place", () => {
  expect(parse({ type: "system", subtype: "ui_invalidate", event: "ui.render" })).toEqual({ events: [] });
  expect(parse({ type: "system", subtype: "status", status: null, permissionMode: "plan" })).toEqual({ events: [] });
  const unknown = parse({ type: "system", subtype: "status", status: "new" });
  expect(unknown.events.map((event) => event.case)).toEqual(["unrecognizedLine"]);
});

test("tells what Claude says and does, in order", () => {
  const lines = recording("failing-command");
  expect(lines.flatMap((line) => line.events.map((event) => event.case))).toEqual([
    "claudeReady",
    ...["assistantText", "toolUseStarted", "toolUseFinished"],
    ...["assistantText", "toolUseStarted", "toolUseFinished"],
    "assistantText",
  ]);
  const [started] = events(lines, "toolUseStarted");
  const [finished] = events(lines, "toolUseFinished");
  expect(started).toMatchObject({ name: "Bash", truncated: false });
  expect(JSON.parse(started!.inputJson)).toHaveProperty("command");
  expect(finished).toMatchObject({ toolUseId: started!.toolUseId, failed: true });
  expect(finished!.output).toContain("Exit code 3");
  expect(events(lines, "claudeReady")[0]).toMatchObject({ permissionMode: "bypassPermissions" });
  expect(events(lines, "claudeReady")[0]!.tools).toContain("Bash");
});

test("says whose sub-agent speaks", () => {
  const lines = recording("subagent");
  const parents = new Set(events(lines, "assistantText").map(({ parentToolUseId }) => parentToolUseId));
  const [agent] = events(lines, "toolUseStarted");
  expect(parents).toEqual(new Set(["", agent!.toolUseId]));
});

test("takes no half of a character over from a line", () => {
  const line = String.raw`{"type":"control_request","request_id":"r\ud83d","request":{"subtype":"can_use_tool","tool_name":"T\ude00"}}`;
  expect(parse(line).notice).toMatchObject({ request: { requestId: "r\ufffd", toolName: "T\ufffd" } });
});

test("tells retries and why", () => {
  const [retry] = events(recording("api-error-429"), "retrying");
  expect(retry).toMatchObject({ attempt: 1, httpStatus: 429, reason: "rate_limit" });
  expect(durationMs(retry!.delay!)).toBeGreaterThan(0);
});

test("tells of no retry with a refused credential, which ends the session", () => {
  const lines = recording("api-error-401");
  expect(events(lines, "retrying")).toEqual([]);
  expect(lines.find(({ notice }) => notice?.kind === "retry")?.notice).toMatchObject({ httpStatus: 401 });
});

test("tells background commands, and which result nobody asked for", () => {
  const lines = recording("background-task");
  expect(events(lines, "backgroundTasksChanged").map(({ descriptions }) => descriptions.length)).toEqual([1, 0]);
  expect(results(lines).map(({ unprompted }) => unprompted)).toEqual([false, true]);
});

test("knows an interrupted turn from a failed one by the same fields", () => {
  const [interrupted, after] = results(recording("interrupted-tool"));
  expect(interrupted).toMatchObject({
    isError: true,
    subtype: "error_during_execution",
    terminalReason: "aborted_tools",
  });
  expect(after).toMatchObject({ isError: false });
});

test("keeps requests of Claude as notices", () => {
  const asked = (name: string) =>
    recording(name).flatMap(({ notice }) => (notice?.kind === "permissionRequest" ? [notice.request] : []));
  const [question] = asked("question");
  expect(question).toMatchObject({ toolName: "AskUserQuestion", input: { questions: [{ header: "Greeting" }] } });
  const [permission] = asked("permission-request");
  expect(permission).toMatchObject({ toolName: "Bash", input: { command: "touch made.txt" } });
  expect(permission!.requestId).not.toBe("");
  expect(permission!.toolUseId).toMatch(/^toolu_/);
});

test("tells a withdrawn request, and one that is none", () => {
  expect(parse({ type: "control_cancel_request", request_id: "r1" }).notice).toEqual({
    kind: "requestCanceled",
    requestId: "r1",
  });
  const request = { subtype: "can_use_tool", tool_name: "Bash" };
  const long = parse({ type: "control_request", request_id: "r".repeat(200), request });
  expect(long.notice).toMatchObject({ kind: "controlRequest" });
});

test("cuts huge inputs and outputs and says how large they were", () => {
  const lines = recording("huge-edit");
  const content = "line\n".repeat(700_000);
  const input = { file_path: "/w/huge.txt", content, notes: Array(2000).fill("x".repeat(100)) };
  const message = { content: [{ type: "tool_use", id: "t", name: "Write", input }] };
  const [started] = events([...lines, parse({ type: "assistant", message })], "toolUseStarted").slice(-1);
  expect(started).toMatchObject({ truncated: true });
  expect(started!.sizeBytes).toBe(BigInt(Buffer.byteLength(JSON.stringify(input))));
  expect(() => JSON.parse(started!.inputJson) as unknown).not.toThrow();
  const result = {
    content: [{ type: "tool_result", tool_use_id: "t", content: [{ type: "text", text: "é".repeat(100_000) }] }],
  };
  const [finished] = events([parse({ type: "user", message: result })], "toolUseFinished");
  expect(finished).toMatchObject({ truncated: true, sizeBytes: 200_000n });
  expect(sizeOf({ case: "toolUseFinished", value: finished! })).toBeLessThan(MAX_EVENT_BYTES);
});

test("keeps what it does not know as it was, also when it is no JSON, or no text", () => {
  for (const line of [
    "not json",
    '{"type":"something_new","x":1}',
    "[1,2]",
    "null",
    '"text"',
    '{"type":{"a":1}}',
    '{"type":"assistant"}',
  ]) {
    const [unknown] = events([parse(line)], "unrecognizedLine");
    expect(Buffer.from(unknown!.line).toString()).toBe(line);
    expect(unknown).toMatchObject({ truncated: false, sizeBytes: BigInt(line.length) });
  }
  const bytes = Buffer.from([0xff, 0xfe, 0x7b, 0x22, 0xc3, 0x28]);
  expect(Buffer.from(events([parseLine(bytes)], "unrecognizedLine")[0]!.line)).toEqual(bytes);
  const [long] = events([parse("x".repeat(1_000_000))], "unrecognizedLine");
  expect(long).toMatchObject({ truncated: true, sizeBytes: 1_000_000n });
  expect(sizeOf({ case: "unrecognizedLine", value: long! })).toBeLessThan(MAX_EVENT_BYTES);
});

test("survives fields of any type", () => {
  const values = [
    null,
    1,
    "x",
    [],
    {},
    [null],
    { content: null },
    { content: [null, 1, { type: "tool_use" }] },
    -5,
    1e300,
  ];
  for (const type of ["system", "assistant", "user", "result", "control_response", "control_request"]) {
    for (const subtype of ["init", "api_retry", "background_tasks_changed"]) {
      for (const value of values) {
        const line = {
          type,
          subtype,
          message: value,
          tasks: value,
          tools: value,
          response: value,
          request: value,
          usage: value,
        };
        const rest = {
          modelUsage: value,
          attempt: value,
          retry_delay_ms: value,
          num_turns: value,
          errors: value,
          origin: value,
        };
        for (const event of parse({ ...line, ...rest }).events) expect(sizeOf(event)).toBeLessThan(MAX_EVENT_BYTES);
      }
    }
  }
});

test("adds up what was used without counting anything twice", () => {
  const meter = new UsageMeter();
  const all = results(recording("background-task"));
  for (const result of all) meter.add(result);
  const last = all.at(-1)!;
  expect(meter.usage()).toMatchObject({
    inputTokenCount: BigInt(last.totalTokens!.input),
    outputTokenCount: BigInt(last.totalTokens!.output),
    stepCount: all[0]!.stepCount + last.stepCount,
    costUsd: last.costUsd,
  });
  const plain = new UsageMeter();
  for (const result of all) plain.add({ ...result, totalTokens: undefined });
  expect(plain.usage()).toMatchObject({
    inputTokenCount: meter.usage().inputTokenCount,
    outputTokenCount: meter.usage().outputTokenCount,
  });
});
