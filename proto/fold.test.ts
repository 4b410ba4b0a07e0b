import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { changesSession, emptySession, foldEvent } from "./fold.ts";
import { type SessionEvent, SessionEventSchema } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";
import {
  PendingRequest_Kind,
  PermissionDecidedSchema,
  PermissionRequestedSchema,
  PhaseChangedSchema,
  Phase,
  QuestionAskedSchema,
  SessionFinishedSchema,
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
