import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MAX_EVENT_BYTES, QuestionAnswerSchema, QuestionAskedSchema, SessionEventSchema } from "../../proto/index.ts";
import { answeredInput, readQuestions } from "./questions.ts";

const option = (label: string) => ({ label, description: `Use ${label}` });
const input = {
  questions: [
    { question: "Which?", header: "Color", options: [option("red"), option("blue")], multiSelect: false },
    { question: "With what?", header: "Extras", options: [option("a"), option("b")], multiSelect: true },
  ],
  metadata: { source: "x" },
};

test("reads questions for people", () => {
  expect(readQuestions(input)).toMatchObject([
    { question: "Which?", header: "Color", options: [option("red"), option("blue")], multiSelect: false },
    { question: "With what?", multiSelect: true },
  ]);
});

test("puts the answers in by the question's whole text, and keeps the rest", () => {
  const answers = [["green"], ["a", "b"]].map((values) => create(QuestionAnswerSchema, { values }));
  expect(answeredInput(input, answers)).toEqual({ ...input, answers: { "Which?": "green", "With what?": "a, b" } });
});

test("reads nothing into what holds no questions, or too many", () => {
  const many = (count: number) => ({ questions: Array.from({ length: count }, () => input.questions[0]) });
  for (const none of [{}, { questions: [] }, { questions: "x" }, many(9)]) expect(readQuestions(none)).toBeUndefined();
  expect(readQuestions({ questions: [{}, null] })).toMatchObject([{ question: "" }, { options: [] }]);
});

test("cuts the longest questions to what an event holds", () => {
  const long = "é".repeat(10_000);
  const options = Array.from({ length: 8 }, () => ({ label: long, description: long }));
  const questions = readQuestions({
    questions: Array.from({ length: 8 }, () => ({ question: long, header: long, options })),
  });
  const value = create(QuestionAskedSchema, { requestId: "r", toolUseId: "t".repeat(256), questions: questions! });
  const event = create(SessionEventSchema, { sequence: 2 ** 31 - 1, event: { case: "questionAsked", value } });
  expect(toBinary(SessionEventSchema, event).length).toBeLessThan(MAX_EVENT_BYTES);
});
