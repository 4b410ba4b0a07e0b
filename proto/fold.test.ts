import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { changesSession, emptySession, foldEvent } from "./fold.ts";
import { type SessionEvent, SessionEventSchema } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";
import {
  AnswerPartSchema,
  ChangesUpdatedSchema,
  MessageQueuedSchema,
  PendingRequest_Kind,
  PermissionDecidedSchema,
  PermissionRequestedSchema,
  PhaseChangedSchema,
  Phase,
  Decider,
  QuestionAnsweredSchema,
  QuestionAskedSchema,
  QueuePositionChangedSchema,
  SessionFinishedSchema,
  SessionStartedSchema,
  ToolUseStartedSchema,
  TurnFinishedSchema,
  TurnStartedSchema,
  UsageSchema,
  UsageUpdatedSchema,
} from "./index.ts";

const kinds = SessionEventSchema.oneofs[0]!.fields;

test.each(kinds.filter(({ localName }) => !changesSession(localName as SessionEvent["event"]["case"])))(
  "takes nothing but the number of $localName",
  (field) => {
    const session = emptySession("ses_1");
    const value = create(field.message!);
    foldEvent(session, create(SessionEventSchema, { sequence: 7, event: { case: field.localName, value } as never }));
    expect(session).toEqual({ ...emptySession("ses_1"), lastSequence: 7 });
  },
);

test("knows what a session waits for until that is decided, and nothing once it has finished", () => {
  const session = emptySession("ses_1");
  let sequence = 0;
  const fold = (event: SessionEvent["event"]) =>
    foldEvent(session, create(SessionEventSchema, { sequence: ++sequence, event }));
  const expireTime = { seconds: 60n, nanos: 0 };
  fold({ case: "permissionRequested", value: create(PermissionRequestedSchema, { requestId: "p", expireTime }) });
  fold({ case: "questionAsked", value: create(QuestionAskedSchema, { requestId: "q" }) });
  expect(session.pendingRequests).toMatchObject([
    { requestId: "p", kind: PendingRequest_Kind.PERMISSION, sequence: 1, expireTime },
    { requestId: "q", kind: PendingRequest_Kind.QUESTION, sequence: 2 },
  ]);
  fold({ case: "permissionDecided", value: create(PermissionDecidedSchema, { requestId: "p" }) });
  expect(session.pendingRequests).toMatchObject([{ requestId: "q" }]);
  fold({ case: "sessionFinished", value: create(SessionFinishedSchema) });
  expect(session.pendingRequests).toEqual([]);
});

test("counts the messages that wait for their turn, the task among them", () => {
  const session = emptySession("ses_1");
  let sequence = 0;
  const fold = (event: SessionEvent["event"]) => {
    foldEvent(session, create(SessionEventSchema, { sequence: ++sequence, event }));
    return session.live?.waitingMessageCount;
  };
  const queued = (waitingCount: number) => ({
    case: "messageQueued" as const,
    value: create(MessageQueuedSchema, { waitingCount }),
  });
  const turn = { case: "turnStarted" as const, value: create(TurnStartedSchema) };
  expect(fold({ case: "sessionStarted", value: create(SessionStartedSchema) })).toBe(1);
  expect([fold(queued(2)), fold(turn), fold(turn)]).toEqual([2, 1, 0]);
  // A message to an idle session does not wait.
  expect(fold(turn)).toBe(0);
  // Containers say what they like.
  expect(fold(queued(-1))).toBe(0);
});

test("knows which decisions nobody made, and of many how many", () => {
  const session = emptySession("ses_1");
  let sequence = 0;
  const fold = (event: SessionEvent["event"]) =>
    foldEvent(session, create(SessionEventSchema, { sequence: ++sequence, event }));
  const permission = (requestId: string, decider: Decider) => {
    const asked = create(PermissionRequestedSchema, { requestId, toolName: "Bash" });
    fold({ case: "permissionRequested", value: asked });
    fold({ case: "permissionDecided", value: create(PermissionDecidedSchema, { requestId, decider }) });
  };
  permission("1", Decider.CALLER);
  permission("2", Decider.TIMEOUT);
  fold({ case: "questionAsked", value: create(QuestionAskedSchema, { requestId: "q" }) });
  fold({
    case: "questionAnswered",
    value: create(QuestionAnsweredSchema, { requestId: "q", decider: Decider.POLICY }),
  });
  fold({ case: "sessionFinished", value: create(SessionFinishedSchema) });
  expect(session.defaultedDecisions).toMatchObject([
    { kind: PendingRequest_Kind.PERMISSION, toolName: "Bash", nobodyToAsk: false },
    { kind: PendingRequest_Kind.QUESTION, toolName: "", nobodyToAsk: true },
  ]);
  for (let count = 0; count < 100; count++) permission(`t${count}`, Decider.TIMEOUT);
  expect(session.defaultedDecisions).toHaveLength(20);
  expect(session.defaultedDecisionCount).toBe(102);
});

test("knows what a live session has come to, and leaves that to the result once it has finished", () => {
  const session = emptySession("ses_1");
  let sequence = 0;
  const fold = (event: SessionEvent["event"]) =>
    foldEvent(session, create(SessionEventSchema, { sequence: ++sequence, event }));
  const usage = (inputTokenCount: bigint) => create(UsageSchema, { inputTokenCount });
  const part = (partIndex: number) =>
    fold({ case: "answerPart", value: create(AnswerPartSchema, { turn: 1, text: "x", partIndex, partCount: 2 }) });
  fold({ case: "queuePositionChanged", value: create(QueuePositionChangedSchema, { position: 4 }) });
  expect(session.live?.queuePosition).toBe(4);
  fold({ case: "phaseChanged", value: create(PhaseChangedSchema, { phase: Phase.WORK }) });
  const changes = Array.from({ length: 500 }, (_, index) => ({ path: String(index) }));
  fold({ case: "changesUpdated", value: create(ChangesUpdatedSchema, { changes, changeCount: 700 }) });
  fold({ case: "usageUpdated", value: create(UsageUpdatedSchema, { usage: usage(5n) }) });
  part(0);
  part(1);
  const said = { turn: 1, text: "x", truncated: true, usage: usage(6n) };
  fold({ case: "turnFinished", value: create(TurnFinishedSchema, said) });
  fold({ case: "turnFinished", value: create(TurnFinishedSchema, { turn: 2 }) });
  expect(session.live).toMatchObject({
    changeCount: 700,
    usage: { inputTokenCount: 6n },
    answer: { text: "x", truncated: true, turn: 1, firstSequence: 5, lastSequence: 7 },
    queuePosition: 0,
  });
  expect(session.live?.changes).toHaveLength(100);
  fold({ case: "turnFinished", value: create(TurnFinishedSchema, { turn: 3, text: "short" }) });
  expect(session.live?.answer).toMatchObject({ text: "short", turn: 3, firstSequence: 9, lastSequence: 9 });
  fold({ case: "sessionFinished", value: create(SessionFinishedSchema) });
  expect(session.live).toBeUndefined();
});

test("knows the tool that was used last in a turn, and the lines that have changed", () => {
  const session = emptySession("ses_1");
  const fold = (event: SessionEvent["event"]) => foldEvent(session, create(SessionEventSchema, { event }));
  const inputJson = JSON.stringify({ command: `echo \u{1F600}${"x".repeat(1000)}` });
  fold({ case: "toolUseStarted", value: create(ToolUseStartedSchema, { name: "B".repeat(100), inputJson }) });
  expect(session.live).toMatchObject({
    toolName: "B".repeat(80),
    toolSubject: expect.stringMatching(/^echo/) as string,
  });
  expect(session.live!.toolSubject).toHaveLength(200);
  fold({ case: "turnStarted", value: create(TurnStartedSchema, { turn: 2 }) });
  expect(session.live).toMatchObject({ toolName: "", toolSubject: "" });
  const most = 2 ** 31 - 1;
  const changes = [
    { addedLineCount: 3, deletedLineCount: most },
    { addedLineCount: 4, deletedLineCount: 1 },
  ];
  fold({ case: "changesUpdated", value: create(ChangesUpdatedSchema, { changes, changeCount: 3 }) });
  expect(session).toMatchObject({ addedLineCount: 7, deletedLineCount: most });
  const finish = (result: object) =>
    fold({ case: "sessionFinished", value: create(SessionFinishedSchema, { result }) });
  finish({ changes: changes.slice(1), changeCount: 3 });
  expect(session).toMatchObject({ addedLineCount: 7, deletedLineCount: most });
  finish({ changes: changes.slice(1), changeCount: 1 });
  expect(session).toMatchObject({ addedLineCount: 4, deletedLineCount: 1 });
});

test("remembers what was decided, as far as a late second decision is to be told from a wrong one", () => {
  const session = emptySession("ses_1");
  for (let count = 1; count <= 150; count++) {
    const requestId = count === 150 ? "x".repeat(60_000) : String(count);
    const value = create(PermissionDecidedSchema, { requestId });
    foldEvent(session, create(SessionEventSchema, { sequence: count, event: { case: "permissionDecided", value } }));
  }
  expect(session.decidedRequestIds).toEqual(Array.from({ length: 100 }, (_, index) => String(index + 50)));
});

test("keeps what a session waits for bounded, however much an agent asks", () => {
  const session = emptySession("ses_1");
  const ask = (requestId: string) => {
    const value = create(PermissionRequestedSchema, { requestId });
    foldEvent(session, create(SessionEventSchema, { sequence: 1, event: { case: "permissionRequested", value } }));
  };
  ask("x".repeat(60_000));
  for (let count = 0; count < 1000; count++) ask(String(count));
  expect(session.pendingRequests).toHaveLength(100);
});

test("keeps the time line bounded, however often an agent changes its phase", () => {
  const session = emptySession("ses_1");
  const value = create(PhaseChangedSchema, { phase: Phase.WORK });
  for (let sequence = 1; sequence <= 5000; sequence++) {
    foldEvent(session, create(SessionEventSchema, { sequence, event: { case: "phaseChanged", value } }));
  }
  expect(session.phaseTimings.length).toBeLessThanOrEqual(1000);
  expect(session.phase).toBe(Phase.WORK);
});
