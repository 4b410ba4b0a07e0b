import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  type EventBody,
  SessionEventSchema,
  SessionFinishedSchema,
  Session_State,
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
