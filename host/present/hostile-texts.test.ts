import { Readable } from "node:stream";
import type { DescMessage } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { EVENT_KINDS, hostileEvent, hostileMessage } from "../../test/support/hostile-message.ts";
import { Plain } from "../../test/support/screen.ts";
import { decisionAsked, emptySession, SessionResultSchema, SessionSchema, Session_State } from "../../proto/index.ts";
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

const hostile = (schema: DescMessage, choice: number) => hostileMessage(schema, choice, HOSTILE);

/** Every text in a value. */
function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

function expectPlain(text: string): void {
  expect(plainText(text)).toBe(text);
  expect(text.isWellFormed()).toBe(true);
}

const KINDS = EVENT_KINDS;
const eventOf = (index: number, choice: number) => hostileEvent(index, choice, HOSTILE);

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
