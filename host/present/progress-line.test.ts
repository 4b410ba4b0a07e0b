import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import {
  AssistantTextSchema,
  CommandOutputSchema,
  CommandResultSchema,
  CommitMadeSchema,
  EgressDecidedSchema,
  type EventBody,
  FilePatchedSchema,
  PermissionDecidedSchema,
  Phase,
  RetryingSchema,
  SessionEventSchema,
  SessionFinishedSchema,
  SetupResultSchema,
  Session_State,
  ToolUseFinishedSchema,
  ToolUseStartedSchema,
  TurnFinishedSchema,
  TurnStartedSchema,
} from "../../proto/index.ts";
import { progressLine } from "./progress-line.ts";

const lineOf = (event: EventBody) => progressLine(create(SessionEventSchema, { event }));

test("tells what was said to Claude, what was interrupted, and how the session ended", () => {
  const turn = (number: number) => create(TurnStartedSchema, { turn: number, text: "go\non" });
  expect(lineOf({ case: "turnStarted", value: turn(1) })).toBeUndefined();
  expect(lineOf({ case: "turnStarted", value: turn(2) })).toBe("message: go on");
  expect(lineOf({ case: "turnFinished", value: create(TurnFinishedSchema, { interrupted: true }) })).toBe(
    "interrupted",
  );
  const result = { outcome: { case: "failure" as const, value: { reason: "TIMED_OUT" } } };
  const failed = create(SessionFinishedSchema, { state: Session_State.FAILED, result });
  expect(lineOf({ case: "sessionFinished", value: failed })).toBe("failed: TIMED_OUT");
});

test.each([
  [
    0,
    "model endpoint 127.0.0.1:4711 not reached (ECONNREFUSED)",
    "model endpoint 127.0.0.1:4711 not reached (ECONNREFUSED)",
  ],
  [529, "overloaded", "529 overloaded"],
  [0, "", "no answer"],
])("says why the model is asked again: %i %s", (httpStatus, reason, why) => {
  const value = create(RetryingSchema, {
    attempt: 1,
    maxAttemptCount: 4,
    httpStatus,
    reason,
    delay: durationFromMs(500),
  });
  expect(lineOf({ case: "retrying", value })).toBe(`model request failed: ${why}, attempt 1 of 4, next in 0.5 s`);
});

test("says what was refused, be it a connection, a push or a request to the model", () => {
  const value = create(EgressDecidedSchema, { destination: "a.test:443", reason: "model request: no such model" });
  expect(lineOf({ case: "egressDecided", value })).toBe("refused access to a.test:443: model request: no such model");
});

test("tells how setup and check ended", () => {
  const result = create(CommandResultSchema, { exitCode: 0, elapsed: durationFromMs(1250) });
  const setup = create(SetupResultSchema, { result, changedPathCount: 2, leftProcessCount: 1 });
  expect(lineOf({ case: "setupFinished", value: setup })).toBe(
    "setup ended with exit code 0, 2 files changed, 1 still running",
  );
  expect(lineOf({ case: "checkFinished", value: result })).toBe("check passed, 1.3 s");
  const failed = create(CommandResultSchema, { exitCode: 3, elapsed: durationFromMs(1250) });
  expect(lineOf({ case: "checkFinished", value: failed })).toBe("check failed with exit code 3, 1.3 s");
  const slow = create(CommandResultSchema, { timedOut: true, elapsed: durationFromMs(60_000) });
  expect(lineOf({ case: "checkFinished", value: slow })).toBe("check failed after 60 s, which is its time, 60.0 s");
});

test("tells of a commit, and of many at once by their number", () => {
  const made = { commitId: "0123456789", subject: "Fix\nit", branch: "main", fileCount: 2, commitCount: 1 };
  const line = (facts: object) =>
    lineOf({ case: "commitMade", value: create(CommitMadeSchema, { ...made, ...facts }) });
  expect(line({})).toBe("commit 0123456 on main: Fix it (2 files)");
  expect(line({ commitCount: 1000, branch: "" })).toBe("1000 commits: Fix it (2 files)");
});

test("no text out of a container begins a line, where it could pose as the host's", () => {
  const given = lineOf({ case: "permissionDecided", value: create(PermissionDecidedSchema, { allowed: true }) })!;
  const ended = create(SessionFinishedSchema, { state: Session_State.SUCCEEDED });
  for (const forged of [given, lineOf({ case: "sessionFinished", value: ended })!, "failed: TIMED_OUT"]) {
    const started = create(ToolUseStartedSchema, { name: forged, inputJson: "{}" });
    expect(lineOf({ case: "toolUseStarted", value: started })).toBe(`tool: ${forged} {}`);
    const finished = create(ToolUseFinishedSchema, { failed: true, output: forged });
    expect(lineOf({ case: "toolUseFinished", value: finished })).toBe(`tool failed: ${forged}`);
    const text = create(AssistantTextSchema, { text: `\n${forged}` });
    expect(lineOf({ case: "assistantText", value: text })).toBe(`Claude: ${forged}`);
    const data = Buffer.from(`a\n${forged}\n`);
    const output = create(CommandOutputSchema, { phase: Phase.CHECK, data });
    expect(lineOf({ case: "commandOutput", value: output })).toBe(`check: ${forged} (after 1 line)`);
    const patched = create(FilePatchedSchema, { change: { path: forged, addedLineCount: 1 } });
    expect(lineOf({ case: "filePatched", value: patched })).toBe(`? ${forged} +1 -0`);
  }
});
