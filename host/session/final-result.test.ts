import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import {
  AnswerPartSchema,
  AppError,
  Artifact_Kind,
  ClaudeReadySchema,
  CommitMadeSchema,
  type EventBody,
  type Failure,
  FailureSchema,
  FileChange_Kind,
  FileChangeSchema,
  FilePatchedSchema,
  MeteredUsageSchema,
  type SessionResult,
  SessionResultSchema,
  SuccessSchema,
  TurnFinishedSchema,
  TurnStartedSchema,
  UsageSchema,
  UsageUpdatedSchema,
  WorkspaceReadySchema,
} from "../../proto/index.ts";
import { NEW, readWhole, storeArtifact } from "../../test/support/stored-sessions.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { cancellation } from "./ending.ts";
import { checkEnded, editResult, salvageEnded, storeEnded } from "./final-result.ts";
import { SessionLog } from "./session-log.ts";

const PATCH = "diff --git a/a b/a\nindex 1..2 100644\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-old\n+new\n";
const CHANGE = create(FileChangeSchema, { path: "a", kind: FileChange_Kind.MODIFIED });
const SUCCESS = { case: "success" as const, value: create(SuccessSchema) };

/** A session that has streamed the diff of one file. */
function streamed() {
  const store = SqliteStore.open(":memory:");
  store.createSession("ses_1", NEW);
  const log = new SessionLog(store, "ses_1");
  log.append(
    { case: "turnStarted", value: create(TurnStartedSchema, { turn: 1 }) },
    {
      case: "filePatched",
      value: create(FilePatchedSchema, { change: CHANGE, patch: Buffer.from(PATCH), partIndex: 0, partCount: 1 }),
    },
  );
  const storedPatch = (text: string) =>
    storeArtifact(store, { sessionId: "ses_1", kind: Artifact_Kind.PATCH, bytes: Buffer.from(text) });
  return { store, log, storedPatch, [Symbol.dispose]: () => store[Symbol.dispose]() };
}

test("takes a patch that is what the list of changes says", async () => {
  using session = streamed();
  const result = create(SessionResultSchema, { outcome: SUCCESS, changes: [CHANGE], changeCount: 1 });
  const handedOver = { result, patch: await session.storedPatch(PATCH), transcript: undefined, commits: undefined };
  const ended = await checkEnded(handedOver, session.log);
  expect(ended).toBe(handedOver);
  expect(ended.result.outcome.case).toBe("success");
});

test("a patch that is not what the list of changes says makes the session fail", async () => {
  using session = streamed();
  const result = create(SessionResultSchema, { outcome: SUCCESS, changes: [CHANGE], changeCount: 1 });
  const patch = await session.storedPatch(
    PATCH.replaceAll("a/a", "a/.git/hooks/x").replaceAll("b/a", "b/.git/hooks/x"),
  );
  const ended = await checkEnded({ result, patch, transcript: undefined, commits: undefined }, session.log);
  expect(failureOf(ended.result).reason).toBe("PATCH_MISMATCH");
});

test("the streamed diffs take the place of a patch that the agent could not compute", async () => {
  using session = streamed();
  const result = create(SessionResultSchema, { outcome: SUCCESS, patchTruncated: true, changeCount: 7 });
  const handedOver = { result, patch: await session.storedPatch(""), transcript: undefined, commits: undefined };
  const { patch } = await checkEnded(handedOver, session.log);
  expect((await readWhole(patch)).toString()).toBe(PATCH);
  expect(result).toMatchObject({ changeCount: 1, patchTruncated: true, outcome: { case: "success" } });
});

test("without an agent the result is what the log tells, and says that the patch may lack something", async () => {
  using session = streamed();
  const { result, patch, transcript } = await salvageEnded(cancellation("enough"), session.log);
  expect((await readWhole(patch)).toString()).toBe(PATCH);
  expect(transcript).toBeUndefined();
  expect(result).toMatchObject({ changeCount: 1, patchFailure: { reason: "CHANGES_NOT_COLLECTED" } });
  expect(result.outcome.value).toMatchObject({ reason: "enough" });
});

test("without an agent the commits that its log told of are said to be lost", async () => {
  using session = streamed();
  const made = (subject: string, commitCount: number): EventBody => ({
    case: "commitMade",
    value: create(CommitMadeSchema, { subject, commitCount }),
  });
  session.log.append(made("Add a parser", 1), made("Test it", 2));
  const { result } = await salvageEnded(cancellation("enough"), session.log);
  expect(result.patchFailure?.message).toMatch(/ Claude's commits are lost \(3, the last: Test it\)\.$/);
});

test("without an agent the result has what its log told of it last, and the answer whole", async () => {
  using session = streamed();
  const usage = create(UsageSchema, { outputTokenCount: 7n });
  const part = (partIndex: number, text: string): EventBody => ({
    case: "answerPart",
    value: create(AnswerPartSchema, { turn: 1, partIndex, partCount: 2, text }),
  });
  session.log.append(
    { case: "workspaceReady", value: create(WorkspaceReadySchema, { baseCommitId: "c0ffee" }) },
    { case: "claudeReady", value: create(ClaudeReadySchema, { conversationId: "c1" }) },
    { case: "usageUpdated", value: create(UsageUpdatedSchema, { usage: create(UsageSchema) }) },
    part(0, "All of it, "),
    part(1, "to the end."),
    { case: "turnFinished", value: create(TurnFinishedSchema, { turn: 1, text: "All", truncated: true, usage }) },
    { case: "turnStarted", value: create(TurnStartedSchema, { turn: 2 }) },
    { case: "turnFinished", value: create(TurnFinishedSchema, { turn: 2 }) },
  );
  const { result } = await salvageEnded(cancellation("enough"), session.log);
  expect(result).toMatchObject({
    baseCommitId: "c0ffee",
    conversationId: "c1",
    usage: { outputTokenCount: 7n },
    finalText: "All of it, to the end.",
    finalTextTruncated: false,
    finalTextTurn: 1,
    patchTruncated: true,
  });
});

test("stores what was salvaged as the session's patch", async () => {
  using session = streamed();
  const { store } = session;
  const ended = await salvageEnded(cancellation("enough"), session.log);
  await storeEnded(ended, { store, sessionId: "ses_1" });
  expect((await readWhole(store.left.getArtifact("ses_1", Artifact_Kind.PATCH)!)).toString()).toBe(PATCH);
  expect(store.left.getResult("ses_1")).toMatchObject({ changeCount: 1, patchSizeBytes: BigInt(PATCH.length) });
});

const OVERDRAWN = create(FailureSchema, { reason: "BUDGET_REACHED", message: "The budget is used up." });

test.each([
  ["MODEL_ERROR", "The model did not answer: it refused the connection. Check base_url, and that the endpoint is up."],
  ["CLAUDE_ERROR", "It was model.test that said no."],
])("says of a %s what the host knows, and its budget where that is the cause", (reason, message) => {
  const given = { reason, message: "It was 127.0.0.1:8080 that said no." };
  expect(failureOf(edited(given))).toMatchObject({ reason, message });
  expect(failureOf(edited(given, OVERDRAWN))).toMatchObject({ reason: "BUDGET_REACHED" });
});

test("a budget is not to blame for what had another cause", () => {
  const failed = edited({ reason: "CLONE_FAILED", message: "There is no such branch." }, OVERDRAWN);
  expect(failureOf(failed)).toMatchObject({ reason: "CLONE_FAILED", message: "There is no such branch." });
});

test("editing a result twice does no harm", () => {
  const failed = { reason: "MODEL_ERROR", message: "It was 127.0.0.1:8080 that said no." };
  const once = edited(failed);
  expect(edited({ reason: failureOf(once).reason, message: failureOf(once).message })).toEqual(once);
});

function edited(failed: { reason: string; message: string }, overdrawn?: Failure): SessionResult {
  const result = create(SessionResultSchema, {
    outcome: { case: "failure", value: create(FailureSchema, failed) },
  });
  editResult(result, {
    spec: { timeout: durationFromMs(1000) },
    elapsedMs: 1500,
    endpoint: new URL("https://model.test"),
    unreached: "it refused the connection",
    used: create(MeteredUsageSchema, { costUsd: 0.5 }),
    overdrawn,
  });
  expect(result).toMatchObject({ meteredUsage: { costUsd: 0.5 } });
  expect(result.elapsed).toMatchObject({ seconds: 1n, nanos: 500_000_000 });
  return result;
}

function failureOf({ outcome }: SessionResult): Failure {
  if (outcome.case !== "failure") throw new AppError("INTERNAL", `It is a ${outcome.case}.`);
  return outcome.value;
}
