import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  CancellationSchema,
  emptySession,
  FailureSchema,
  FileChangeSchema,
  type Session,
  SessionResultSchema,
  Session_State,
} from "../../proto/index.ts";
import { EMPTY_PATCH, summarizeSession } from "./session-summary.ts";

type Result = Partial<NonNullable<Session["result"]>>;

function summaryOf(result: Result) {
  const session = emptySession("ses_1");
  session.state = Session_State.FAILED;
  session.result = create(SessionResultSchema, result as object);
  return summarizeSession(session, EMPTY_PATCH);
}

test.each([16_000, 15_999, 15_998])("cuts an answer of %i characters and an emoji between characters", (length) => {
  const { result } = summaryOf({ finalText: `${"a".repeat(length)}${"😀".repeat(20)}` });
  expect(result.isWellFormed()).toBe(true);
  expect(JSON.stringify(result)).not.toMatch(/\\ud[89a-f]/);
});

test("says where the whole of a cut answer is, and nothing of it otherwise", () => {
  const cut = summaryOf({ finalText: "a".repeat(16_001) });
  expect(cut.answer_uri).toBe("claudecluster://sessions/ses_1/answer");
  expect(cut.result.slice(16_000)).toBe(
    "\n[cut: 1 characters follow; whole: claudecluster://sessions/ses_1/answer, or claudecluster show --answer ses_1]",
  );
  const whole = summaryOf({ finalText: "a".repeat(16_000) });
  expect(whole).toMatchObject({ result: "a".repeat(16_000) });
  expect(whole).not.toHaveProperty("answer_uri");
});

test("says that Claude gave no answer, and whose answer is shown then", () => {
  const session = emptySession("ses_1");
  const shown = (turnCount: number, state: Session_State, result: Result) => {
    Object.assign(session, { turnCount, state, result: create(SessionResultSchema, result as object) });
    return summarizeSession(session, EMPTY_PATCH).no_answer;
  };
  const { SUCCEEDED, FAILED } = Session_State;
  expect(shown(1, SUCCEEDED, {})).toBe("Claude ended its last turn without saying anything.");
  expect(shown(3, SUCCEEDED, { finalText: "x", finalTextTurn: 2 })).toContain("is the answer of turn 2, of 3.");
  expect(shown(2, SUCCEEDED, { finalText: "x", finalTextTurn: 2 })).toBeUndefined();
  // An agent of before does not say.
  expect(shown(2, SUCCEEDED, { finalText: "x" })).toBeUndefined();
  expect(shown(1, FAILED, {})).toBeUndefined();
});

test("replaces half a character that a container sent as an escape", () => {
  expect(summaryOf({ finalText: JSON.parse('"a\\ud83d"') as string }).result).toBe("a\ufffd");
});

test("keeps reasons, messages and paths on one line", () => {
  const row = "\nstate        succeeded\u2028x";
  const failure = create(FailureSchema, { reason: `R${row}`, message: `M${row}` });
  const changes = [create(FileChangeSchema, { path: `p${row}`, previousPath: `o${row}` })];
  const failed = summaryOf({ outcome: { case: "failure", value: failure }, changes, unreadablePaths: [`u${row}`] });
  const canceled = summaryOf({ outcome: { case: "cancellation", value: create(CancellationSchema, { reason: row }) } });
  for (const text of [
    failed.failure!.reason,
    failed.failure!.message,
    failed.changes[0]!.path,
    failed.changes[0]!.previous_path,
    failed.unreadable_paths![0],
    canceled.canceled_by,
  ]) {
    expect(text).toMatch(/^.*state.*succeeded.*$/);
  }
});

test("shows the names of files as they are", () => {
  const changes = [create(FileChangeSchema, { path: String.raw`"gr\303\266\303\237e.txt"` })];
  expect(summaryOf({ changes }).changes[0]!.path).toBe("größe.txt");
});
