import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import {
  emptySession,
  type EventBody,
  PermissionRequestedSchema,
  QuestionAskedSchema,
  SessionEventSchema,
  SessionSpecSchema,
  Session_State,
  StateChangedSchema,
} from "../../proto/index.ts";
import { nextStep } from "./next-step.ts";

const session = emptySession("ses_1");
session.spec = create(SessionSpecSchema, { idleTimeout: durationFromMs(60_000) });
const stepOf = (event: EventBody) =>
  nextStep(session, create(SessionEventSchema, { event, occurTime: timestampFromMs(0) }));

test("names the command that a waiting session goes on with, and until when", () => {
  const asked = create(QuestionAskedSchema, { requestId: "$(x)", expireTime: timestampFromMs(5000) });
  expect(stepOf({ case: "questionAsked", value: asked })).toBe(
    "to answer until 1970-01-01T00:00:05.000Z: claudecluster answer ses_1 …",
  );
  const wanted = create(PermissionRequestedSchema, { toolName: "$(x)", expireTime: { seconds: 2n ** 60n } });
  expect(stepOf({ case: "permissionRequested", value: wanted })).toBe(
    "to decide: claudecluster allow ses_1, or claudecluster deny",
  );
  const stateIs = (state: Session_State) =>
    stepOf({ case: "stateChanged", value: create(StateChangedSchema, { state }) });
  expect(stateIs(Session_State.IDLE)).toBe("to go on until 1970-01-01T00:01:00.000Z: claudecluster send ses_1 …");
  expect(stateIs(Session_State.RUNNING)).toBeUndefined();
});
