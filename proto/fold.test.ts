import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { changesSession, emptySession, foldEvent } from "./fold.ts";
import { type SessionEvent, SessionEventSchema } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";
import { PhaseChangedSchema, Phase } from "./index.ts";

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

test("keeps the time line bounded, however often an agent changes its phase", () => {
  const session = emptySession("ses_1");
  const value = create(PhaseChangedSchema, { phase: Phase.WORK });
  for (let sequence = 1; sequence <= 5000; sequence++) {
    foldEvent(session, create(SessionEventSchema, { sequence, event: { case: "phaseChanged", value } }));
  }
  expect(session.phaseTimings.length).toBeLessThanOrEqual(1000);
  expect(session.phase).toBe(Phase.WORK);
});
