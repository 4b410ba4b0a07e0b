import { expect, test } from "vitest";
import { AppError } from "../../proto/index.ts";
import { failure } from "./ending.ts";
import { type EndReason, RunEnd } from "./end-reason.ts";

const STOPPED: EndReason = { kind: "stopped", reason: "enough" };
const CUT_SHORT: EndReason = { kind: "cutShort", error: new AppError("AGENT_UNRESPONSIVE", "Too late.") };
const KILLED: EndReason = { kind: "killed", reason: "the host ends" };
const DETACHED: EndReason = { kind: "detached" };

function endOf(...reasons: EndReason[]) {
  const end = new RunEnd();
  for (const reason of reasons) end.add(reason);
  const { case: outcome, value } = end.outcome(failure(new Error("the container went")));
  return {
    kind: end.kind,
    stopping: end.stopping.aborted,
    leaving: end.leaving.aborted,
    outcome: `${outcome}: ${outcome === "failure" ? value.message : outcome === "cancellation" ? value.reason : ""}`,
  };
}

test("a stop is waited for, whatever is more urgent is not", () => {
  expect(endOf()).toMatchObject({ kind: undefined, stopping: false, leaving: false });
  expect(endOf(STOPPED)).toMatchObject({ kind: "stopped", stopping: true, leaving: false });
  for (const reason of [CUT_SHORT, KILLED, DETACHED]) {
    expect(endOf(reason)).toMatchObject({ kind: reason.kind, stopping: true, leaving: true });
    expect(endOf(STOPPED, reason)).toMatchObject({ kind: reason.kind, stopping: true, leaving: true });
  }
});

test("the first reason is the outcome, the most urgent one says what is waited for", () => {
  expect(endOf(STOPPED, CUT_SHORT, KILLED)).toMatchObject({ kind: "killed", outcome: "cancellation: enough" });
  expect(endOf(CUT_SHORT, STOPPED)).toMatchObject({ kind: "cutShort", outcome: "failure: Too late." });
  expect(endOf(KILLED, DETACHED, STOPPED)).toMatchObject({ kind: "killed", outcome: "cancellation: the host ends" });
});

test("a session that was let go of has no outcome of its own", () => {
  expect(endOf(DETACHED, KILLED)).toMatchObject({ kind: "detached" });
  expect(endOf(DETACHED).outcome).toBe(endOf().outcome);
});

test("tells those who wait why", () => {
  const end = new RunEnd();
  expect(end.add(DETACHED)).toBe(true);
  expect(end.add(STOPPED)).toBe(false);
  expect(end.leaving.reason).toMatchObject({ reason: "HOST_CLOSING", retryable: true });
});
