import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  CommandResultSchema,
  SetupResultSchema,
  completeSpec,
  cutResult,
  EVENT_RESULT,
  FileChange_Kind as Kind,
  FileChangeSchema,
  IgnoredFilesSchema,
  LeftOut,
  LeftWorkSchema,
  MAX_EVENT_BYTES,
  SessionEventSchema,
  SessionFinishedSchema,
  SessionResultSchema,
  SessionSpecSchema,
  SessionStartedSchema,
  type SkippedFilter,
  SkippedFilterSchema,
  SuccessSchema,
} from "../../proto/index.ts";
import { failure } from "../claude/turn-failure.ts";
import { cutSpec } from "./cut-spec.ts";
import { wholeResult } from "./session-result.ts";

const changes = Array.from({ length: 20_000 }, (_, index) =>
  create(FileChangeSchema, { path: `src/generated/${"directory/".repeat(5)}file-${index}.ts`, kind: Kind.ADDED }),
);
const NONE = { unreadablePaths: [], unconvertedPaths: [], skippedFilters: [] };
const success = { case: "success", value: create(SuccessSchema) } as const;

function finishedBytes(result: ReturnType<typeof wholeResult>): number {
  const value = create(SessionFinishedSchema, { result });
  return toBinary(SessionEventSchema, create(SessionEventSchema, { event: { case: "sessionFinished", value } })).length;
}

test("keeps everything of an ordinary result, the patch inside", () => {
  const patch = Buffer.from("diff --git a/x b/x\n");
  const result = wholeResult({ outcome: success, finalText: "done", changes: changes.slice(0, 3), ...NONE, patch });
  expect(result).toMatchObject({
    finalText: "done",
    changeCount: 3,
    patchSizeBytes: BigInt(patch.length),
  });
  const event = cutResult(result, EVENT_RESULT);
  expect(event).toMatchObject({
    finalText: "done",
    finalTextTruncated: false,
    patchSizeBytes: BigInt(patch.length),
  });
  expect(event.changes).toEqual(result.changes);
});

test("cuts what does not fit and says so, wherever it is too large", () => {
  const metadata = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`name-${index}`, "v".repeat(100)]));
  const outcome = { case: "failure", value: failure("CLAUDE_EXITED", "m".repeat(100_000), { metadata }) } as const;
  const options = { outcome, finalText: "ü".repeat(3_000_000), changes, patch: Buffer.alloc(1024 * 1024) };
  const items = Array.from({ length: 100 }, () => ({ name: "n".repeat(1000), branch: "b".repeat(1000) }));
  const outputTail = "é".repeat(10_000) + "z";
  const command = create(CommandResultSchema, { exitCode: 1, signal: "S".repeat(1000), outputTail });
  const whole = wholeResult({
    ...options,
    unreadablePaths: Array<string>(10_000).fill("path/".repeat(20)),
    unconvertedPaths: Array<string>(10_000).fill("path/".repeat(20)),
    skippedFilters: Array<SkippedFilter>(10).fill(
      create(SkippedFilterSchema, { name: "n".repeat(100), fileCount: 5, examplePath: "p".repeat(1000) }),
    ),
    patchFailure: failure("COLLECT_FAILED", "m".repeat(100_000), { metadata }),
    leftWork: create(LeftWorkSchema, { items, itemCount: 100 }),
    ignoredFiles: create(IgnoredFilesSchema, { paths: Array<string>(100).fill("p".repeat(4000)), fileCount: 100 }),
    unreadableReasons: Array<LeftOut>(10_000).fill(LeftOut.UNREADABLE),
    check: command,
    setup: create(SetupResultSchema, {
      result: command,
      changedPaths: Array<string>(10_000).fill("path/".repeat(20)),
      changedPathCount: 10_000,
    }),
  });
  expect(whole.check!.outputTail).toBe("é".repeat(1023) + "z");
  // The patch can be read in pieces, the rest cannot.
  expect(whole).toMatchObject({ finalTextTruncated: true, changeCount: 20_000 });
  expect(whole.finalText.length).toBe(1024 * 1024);
  expect(whole.changes.length).toBeGreaterThan(5000);
  expect(toBinary(SessionResultSchema, whole).length).toBeLessThan(3.8 * 1024 * 1024);
  const event = cutResult(whole, EVENT_RESULT);
  expect(event).toMatchObject({ changeCount: 20_000, finalTextTruncated: true });
  expect(event.outcome).toMatchObject({ case: "failure", value: { reason: "CLAUDE_EXITED" } });
  expect(event).toMatchObject({ leftWork: { itemCount: 100 }, ignoredFiles: { fileCount: 100 } });
  expect(event.unreadableReasons.length).toBe(event.unreadablePaths.length);
  expect(finishedBytes(event)).toBeLessThan(MAX_EVENT_BYTES);
});

test("a failure can be sent whatever Claude wrote into it", () => {
  const outcome = {
    case: "failure",
    value: failure("CLAUDE_ERROR", "a\ud83d", { metadata: { said: "b\ud83d" } }),
  } as const;
  const options = { ...NONE, finalText: "c\ud83d", changes: [], patch: Buffer.alloc(0) };
  const event = cutResult(wholeResult({ ...options, outcome }), EVENT_RESULT);
  expect(event.outcome.value).toMatchObject({ message: "a\ufffd", metadata: { said: "b\ufffd" } });
  expect(event.finalText).toBe("c\ufffd");
});

test("a spec of any size fits an event", () => {
  const task = "t".repeat(1024 * 1024);
  const environment = Object.fromEntries(
    Array.from({ length: 1000 }, (_, index) => [`NAME_${index}`, "v".repeat(100)]),
  );
  const allowedTools = Array<string>(5000).fill("Bash(git log *)");
  const repository = { uri: "https://example.com/a/b", ref: "main" };
  const spec = completeSpec(create(SessionSpecSchema, { task, environment, allowedTools, repository }));
  const value = create(SessionStartedSchema, { sessionId: "s".repeat(64), spec: cutSpec(spec) });
  const event = create(SessionEventSchema, { event: { case: "sessionStarted", value } });
  expect(toBinary(SessionEventSchema, event).length).toBeLessThan(MAX_EVENT_BYTES);
  expect(value.spec).toMatchObject({ repository: { ref: "main" }, permissionMode: "bypassPermissions" });
  const small = completeSpec(create(SessionSpecSchema, { task: "small", environment: { CI: "1" } }));
  expect(cutSpec(small)).toEqual(small);
});
