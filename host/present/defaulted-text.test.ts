import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { PendingRequest_Kind as Kind, SessionSchema } from "../../proto/index.ts";
import { defaultedLines } from "./defaulted-text.ts";

test("says what became of decisions that nobody made, and why", () => {
  const session = create(SessionSchema, {
    spec: { decisionTimeout: durationFromMs(90_000) },
    defaultedDecisions: [
      { kind: Kind.PERMISSION, toolName: "Ba\u001b[2J\u202esh" },
      { kind: Kind.QUESTION, nobodyToAsk: true },
    ],
    defaultedDecisionCount: 5,
  });
  expect(defaultedLines(session)).toEqual([
    "the permission to use Ba[2Jsh was denied: nobody decided within 90 s",
    "a question was left to Claude: nobody could be asked, and the decision policy wants a person",
    "and 3 decisions more",
  ]);
  expect(defaultedLines(create(SessionSchema))).toEqual([]);
});
