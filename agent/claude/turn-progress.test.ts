import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { TurnEnd } from "./claude-result.ts";
import { TurnProgress } from "./turn-progress.ts";

let ended: string[];
let progress: TurnProgress;

beforeEach(() => {
  vi.useFakeTimers();
  ended = [];
  progress = new TurnProgress({ settleMs: 1000, onEnd: ({ text }) => void ended.push(text) });
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function result(text: string, rest: Partial<TurnEnd> = {}): TurnEnd {
  const none = { input: 0, output: 0, cacheWrite: 0, cacheRead: 0 };
  const facts = { subtype: "success", terminalReason: "completed", apiErrorStatus: 0, stepCount: 1, costUsd: 0 };
  const said = { answer: text, stopReason: "end_turn", errorKind: "" };
  return {
    isError: false,
    text,
    totalTokens: undefined,
    turnTokens: none,
    unprompted: false,
    ...said,
    ...facts,
    ...rest,
  };
}

test("ends with the result", () => {
  progress.begin();
  progress.result(result("done"));
  expect(ended).toEqual(["done"]);
  expect(progress.running).toBe(false);
});

test("waits for background commands and what Claude says about their end", () => {
  progress.begin();
  progress.backgroundTasks(["t1"]);
  progress.result(result("started it"));
  expect(ended).toEqual([]);
  progress.backgroundTasks([]);
  progress.activity();
  vi.advanceTimersByTime(60_000);
  expect(ended).toEqual([]);
  progress.result(result("it is done", { unprompted: true }));
  expect(ended).toEqual(["it is done"]);
});

test("does not wait for ever when Claude says nothing about the end of a background command", () => {
  progress.begin();
  progress.backgroundTasks(["t1"]);
  progress.result(result("started it"));
  progress.backgroundTasks([]);
  vi.advanceTimersByTime(1000);
  expect(ended).toEqual(["started it"]);
});

test("does not take the result of a wake-up for that of the message", () => {
  progress.begin();
  progress.result(result("about the old command", { unprompted: true }));
  progress.activity();
  vi.advanceTimersByTime(60_000);
  expect(ended).toEqual([]);
  progress.result(result("the answer"));
  expect(ended).toEqual(["the answer"]);
});

test("believes that a wake-up dealt with the message when nothing follows", () => {
  progress.begin();
  progress.result(result("both at once", { unprompted: true }));
  vi.advanceTimersByTime(1000);
  expect(ended).toEqual(["both at once"]);
});

test("ends with an error whatever runs in the background", () => {
  progress.begin();
  progress.backgroundTasks(["t1"]);
  progress.result(result("no model", { isError: true }));
  expect(ended).toEqual(["no model"]);
});

test("an interrupt ends the turn with the next result and names the commands to end", () => {
  progress.begin();
  progress.backgroundTasks(["t1", "t2"]);
  expect(progress.interrupt()).toEqual(["t1", "t2"]);
  progress.result(result("interrupted"));
  expect(ended).toEqual(["interrupted"]);
});

test("an interrupt also ends a turn that only waits for a command", () => {
  progress.begin();
  progress.backgroundTasks(["t1"]);
  progress.result(result("started it"));
  progress.interrupt();
  vi.advanceTimersByTime(1000);
  expect(ended).toEqual(["started it"]);
});

test("results between turns end nothing", () => {
  progress.result(result("nobody asked", { unprompted: true }));
  expect(ended).toEqual([]);
});

test("lets those who wait go when the process is gone", async () => {
  progress.begin();
  const waiting = progress.ended();
  progress.close();
  await waiting;
  expect(ended).toEqual([]);
});
