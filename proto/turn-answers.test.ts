import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MAX_ANSWER_BYTES, TurnAnswers } from "./turn-answers.ts";
import { AnswerPartSchema, TurnFinishedSchema } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";

const part = (partIndex: number, text: string, { turn = 1, partCount = 3, truncated = false } = {}) =>
  create(AnswerPartSchema, { turn, text, partIndex, partCount, truncated });
const finished = (text: string, { turn = 1, truncated = true } = {}) =>
  create(TurnFinishedSchema, { turn, text, truncated });

function answerOf(parts: ReturnType<typeof part>[], end = finished("a")) {
  const answers = new TurnAnswers();
  for (const each of parts) answers.add(each);
  return answers.of(end);
}

test("puts an answer together from its parts, and says where even they are cut", () => {
  expect(answerOf([part(0, "a"), part(1, "b"), part(2, "c")])).toEqual({ text: "abc", truncated: false, turn: 1 });
  const cut = [0, 1, 2].map((index) => part(index, "x", { truncated: true }));
  expect(answerOf(cut)).toEqual({ text: "xxx", truncated: true, turn: 1 });
  expect(answerOf([], finished("short", { truncated: false }))).toEqual({ text: "short", truncated: false, turn: 1 });
});

test.each([
  ["a part is missing", [part(0, "a"), part(2, "c")]],
  ["the last part is missing", [part(0, "a"), part(1, "b")]],
  ["they are of another turn", [0, 1, 2].map((index) => part(index, "x", { turn: 2 }))],
  ["they are too long", [part(0, "a".repeat(MAX_ANSWER_BYTES)), part(1, "b"), part(2, "c")]],
  ["one is empty", [part(0, "a"), part(1, ""), part(2, "c")]],
  ["there are more than was said", [0, 1, 2].map((index) => part(index, "x", { partCount: index === 2 ? 3 : 1 }))],
  ["there are more than any agent sends", Array.from({ length: 5000 }, (_, i) => part(i, "x", { partCount: 5000 }))],
  ["there are none", []],
])("keeps what the turn's end says where %s", (_, parts) => {
  expect(answerOf(parts)).toEqual({ text: "a", truncated: true, turn: 1 });
});
