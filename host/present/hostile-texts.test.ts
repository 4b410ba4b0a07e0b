import { Readable } from "node:stream";
import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Plain } from "../../test/support/screen.ts";
import {
  decisionAsked,
  emptySession,
  SessionEventSchema,
  type SessionEvent,
  SessionResultSchema,
  SessionSchema,
  Session_State,
} from "../../proto/index.ts";
import { plainText } from "./plain-text.ts";
import { printResult } from "./print-result.ts";
import { printSession } from "./print-session.ts";
import { progressLine } from "./progress-line.ts";
import { sessionEntry } from "./session-entry.ts";
import { SessionProgress } from "./session-progress.ts";
import { answerOf, EMPTY_PATCH, summarizeSession } from "./session-summary.ts";

const ROW = "state        succeeded";
/** What a container may put wherever the contract has a text: a forged row, and characters that nobody should see. */
const HOSTILE = `a\n${ROW}\r${ROW}\u2028${ROW}\x1b[2J\x9b\u202e\u00ad\u{e0041}`;

/** A message with something hostile in each of its texts; `choice` names the alternative of every oneof, by turns. */
function hostile(schema: DescMessage, choice: number, depth = 0): Message {
  const message = create(schema) as Message & Record<string, unknown>;
  for (const member of schema.members) {
    if (member.kind !== "oneof") {
      const value = valueOf(member, choice, depth);
      if (value !== undefined) message[member.localName] = value;
      continue;
    }
    const field = member.fields[choice % member.fields.length]!;
    message[member.localName] = { case: field.localName, value: valueOf(field, choice, depth) };
  }
  return message;
}

function valueOf(field: DescField, choice: number, depth: number): unknown {
  const bytes = new TextEncoder().encode(HOSTILE);
  switch (field.fieldKind) {
    case "message":
      // Times and durations are none: a container may say anything.
      return depth > 5 ? undefined : hostile(field.message, choice, depth + 1);
    case "list":
      if (field.listKind === "message") return depth > 5 ? [] : [hostile(field.message, choice, depth + 1)];
      return field.listKind === "scalar" && field.scalar === 9 ? [HOSTILE] : undefined;
    case "map":
      return { [HOSTILE]: HOSTILE };
    case "scalar":
      // https://github.com/protocolbuffers/protobuf/blob/main/src/google/protobuf/descriptor.proto: 9 is a string, 12 bytes.
      return field.scalar === 9 ? HOSTILE : field.scalar === 12 ? bytes : undefined;
    case "enum":
      return field.enum.values[choice % field.enum.values.length]!.number;
  }
}

/** Every text in a value. */
function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

function expectPlain(text: string): void {
  expect(plainText(text)).toBe(text);
  expect(text.isWellFormed()).toBe(true);
}

const KINDS = SessionEventSchema.oneofs[0]!.fields.map(({ localName }) => localName);
const eventOf = (index: number, choice: number) => {
  const field = SessionEventSchema.oneofs[0]!.fields[index]!;
  const event = { case: field.localName, value: valueOf(field, choice, 0) } as SessionEvent["event"];
  return create(SessionEventSchema, { sequence: index + 1, event });
};

test.each(KINDS.map((kind, index) => [kind, index] as const))(
  "no line of %s is more than one, or hides something",
  (_, index) => {
    for (let choice = 0; choice < 4; choice++) {
      const line = progressLine(eventOf(index, choice)) ?? "";
      expectPlain(line);
      expect(line).not.toMatch(/\n|^state/);
    }
  },
);

/** A session of which the container and its caller write everything but what the host alone does. */
function hostileSession(choice: number) {
  const { id, containerId } = emptySession("ses_1");
  return Object.assign(hostile(SessionSchema, choice) as ReturnType<typeof emptySession>, { id, containerId });
}

test.each([Session_State.SUCCEEDED, Session_State.FAILED, Session_State.CANCELED, Session_State.RUNNING])(
  "no text of a session in state %i poses as a row of the host's, or hides something",
  async (state) => {
    for (let choice = 0; choice < 6; choice++) {
      const session = hostileSession(choice);
      session.state = state;
      session.result = hostile(SessionResultSchema, choice) as NonNullable<typeof session.result>;
      session.phaseTimings = [];
      delete session.result.elapsed;
      Object.assign(session, { createTime: undefined, startTime: undefined, endTime: undefined });
      const progress = new SessionProgress("ses_1");
      const events = KINDS.map((_, index) => eventOf(index, choice));
      for (const event of events) progress.add(event);
      const waiting = events.flatMap((event) => decisionAsked(event) ?? []);
      if (state === Session_State.RUNNING) delete session.result;
      const details = { lines: progress.lines, waiting, answer: answerOf(session) };
      const summary = summarizeSession(session, EMPTY_PATCH, details);
      for (const text of textsOf([summary, sessionEntry(session)])) expectPlain(text);
      const [shown, ended] = [new Plain(), new Plain()];
      printSession(session, summary, { stdout: shown, env: {} });
      await printResult(summary, Readable.from([]), { stdout: new Plain(), stderr: ended });
      expectPlain(shown.text + ended.text);
      expect(shown.text.split("\n").filter((line) => line.startsWith("state"))).toHaveLength(1);
      expect(ended.text).not.toContain(`\n${ROW}`);
      // The answer is the one text with lines, and indented.
      expect(ended.text).toContain(`\n  ${ROW}`);
    }
  },
);
