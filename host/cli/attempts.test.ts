import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { Plain } from "../../test/support/screen.ts";
import {
  AppError,
  ContainerSpecSchema,
  type Failure,
  SessionFinishedSchema,
  SessionResultSchema,
  SessionSpecSchema,
  Session_State,
} from "../../proto/index.ts";
import type { AttemptsReport } from "../present/attempts-text.ts";
import { runCommand } from "./run.ts";

const request = { spec: create(SessionSpecSchema, { task: "x" }), container: create(ContainerSpecSchema) };

function io() {
  const signal = new AbortController().signal;
  return { stdin: process.stdin, stdout: new Plain(), stderr: new Plain(), env: {}, signal };
}

interface End {
  /** Exit code of its check. */
  check?: number;
  lines: number;
  failure?: Pick<Failure, "reason" | "message">;
}

/** Runs attempts that end so, in the order of their creation. */
async function run(ends: End[], { json = false } = {}) {
  using sessions = new MemorySessions();
  const out = io();
  const running = runCommand(sessions, request, { detach: false, json, attempts: ends.length }, out);
  await expect.poll(() => out.stderr.text.match(/^session /gm)?.length).toBe(ends.length);
  const { sessions: listed } = await sessions.list({});
  const ids = listed.map(({ id }) => id).toReversed();
  for (const [at, { check, lines, failure }] of ends.entries()) {
    const result = create(SessionResultSchema, {
      outcome: failure === undefined ? { case: "success", value: {} } : { case: "failure", value: failure },
      changes: lines === 0 ? [] : [{ path: "a", addedLineCount: lines }],
      changeCount: lines === 0 ? 0 : 1,
      ...(check !== undefined && { check: { exitCode: check, elapsed: { seconds: 3n } } }),
    });
    const state = failure === undefined ? Session_State.SUCCEEDED : Session_State.FAILED;
    sessions.say(ids[at]!, { case: "sessionFinished", value: create(SessionFinishedSchema, { state, result }) });
  }
  return { code: await running, text: out.stdout.text, ids };
}

test("attempts stand side by side, the smallest that passed its check first, with the command that takes it", async () => {
  const failure = { reason: "TIMED_OUT", message: "late" };
  const { code, text, ids } = await run([
    { check: 1, lines: 1 },
    { check: 0, lines: 20 },
    { check: 0, lines: 3, failure },
    { check: 0, lines: 7 },
  ]);
  const [rival, large, late, small] = ids;
  expect(code).toBe(0);
  const lines = text.split("\n");
  expect(lines.slice(0, 4).map((line) => line.split(/\s/)[0])).toEqual([small, large, rival, late]);
  expect(lines[0]).toMatch(/succeeded +check passed, 3.0 s +1 file \+7 -0 /);
  expect(lines[2]).toContain("check failed with exit code 1, 3.0 s");
  expect(text).toContain(`claudecluster apply ${small}\n`);
});

test("no attempt is proposed that did not pass", async () => {
  const { code, text, ids } = await run([{ check: 1, lines: 1 }, { lines: 0 }], { json: true });
  const report = JSON.parse(text) as AttemptsReport;
  expect(code).toBe(1);
  expect(report.next).toBeUndefined();
  expect(report.attempts.map(({ session_id: id }) => id).toSorted()).toEqual(ids.toSorted());
});

test("attempts of which one cannot start do not run", async () => {
  using sessions = new MemorySessions();
  const createOne = sessions.create.bind(sessions);
  let count = 0;
  sessions.create = (given) =>
    ++count === 3 ? Promise.reject(new AppError("HOST_CLOSING", "The host is shutting down.")) : createOne(given);
  await expect(runCommand(sessions, request, { detach: false, json: false, attempts: 3 }, io())).rejects.toMatchObject({
    reason: "HOST_CLOSING",
  });
  const { sessions: listed } = await sessions.list({});
  expect(listed.map(({ state }) => state)).toEqual([Session_State.CANCELED, Session_State.CANCELED]);
});
