import { create } from "@bufbuild/protobuf";
import {
  cutText,
  type Question,
  type QuestionAnswer,
  QuestionOptionSchema,
  QuestionSchema,
} from "../../proto/index.ts";
import { type JsonObject, listOf, objectOf, textOf } from "./json.ts";

/**
 * Name of the tool that Claude asks questions with. Claude Code asks one to four at once, each with two to four
 * options.
 */
export const QUESTION_TOOL = "AskUserQuestion";

const MAX_LIST_LENGTH = 8;
/** With eight questions and eight options each, the event stays below its 64 KiB. */
const QUESTION_BYTES = 1024;
const HEADER_BYTES = 128;
const LABEL_BYTES = 256;
const DESCRIPTION_BYTES = 512;

/** Returns the questions in the tool's input, cut for showing. Undefined: it holds none, or more than are shown. */
export function readQuestions(input: JsonObject): Question[] | undefined {
  const questions = listOf(input["questions"]).map(objectOf);
  const options = questions.map((question) => listOf(question["options"]).map(objectOf));
  if (questions.length === 0 || [questions, ...options].some(({ length }) => length > MAX_LIST_LENGTH))
    return undefined;
  return questions.map((question, index) =>
    create(QuestionSchema, {
      question: cut(question["question"], QUESTION_BYTES),
      header: cut(question["header"], HEADER_BYTES),
      options: options[index]!.map((option) =>
        create(QuestionOptionSchema, {
          label: cut(option["label"], LABEL_BYTES),
          description: cut(option["description"], DESCRIPTION_BYTES),
        }),
      ),
      multiSelect: question["multiSelect"] === true,
    }),
  );
}

/** Returns the tool's input with the answers in it, by each question's text: Claude Code expects them so. */
export function answeredInput(input: JsonObject, answers: readonly QuestionAnswer[]): JsonObject {
  const asked = listOf(input["questions"]).map((question) => textOf(objectOf(question)["question"]));
  return {
    ...input,
    answers: Object.fromEntries(asked.map((text, index) => [text, answers[index]!.values.join(", ")])),
  };
}

function cut(value: unknown, maxBytes: number): string {
  return cutText(textOf(value), maxBytes).text;
}
