import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { afterRunning, afterStandstill } from "./running-time.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("calls back after the time", () => {
  const onElapsed = vi.fn();
  afterRunning(2_500, onElapsed);
  vi.advanceTimersByTime(2_499);
  expect(onElapsed).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onElapsed).toHaveBeenCalledTimes(1);
});

test("does not count the time in which the process was frozen", () => {
  const onElapsed = vi.fn();
  afterRunning(60_000, onElapsed);
  // After a thaw the clock has jumped, and one timer is late: not sixty.
  vi.advanceTimersToNextTimer();
  vi.setSystemTime(Date.now() + 65_000);
  vi.advanceTimersToNextTimer();
  expect(onElapsed).not.toHaveBeenCalled();
  vi.advanceTimersByTime(58_000);
  expect(onElapsed).toHaveBeenCalledTimes(1);
});

test("does not call back once it has been taken back", () => {
  const onElapsed = vi.fn();
  const cancel = afterRunning(2_500, onElapsed);
  vi.advanceTimersByTime(2_000);
  cancel();
  vi.advanceTimersByTime(60_000);
  expect(onElapsed).not.toHaveBeenCalled();
});

test("counts only the time in which nothing moves", () => {
  const onElapsed = vi.fn();
  let moved = 0;
  afterStandstill({ ms: 3_000, progress: () => moved }, onElapsed);
  for (let second = 0; second < 10; second++) {
    moved++;
    vi.advanceTimersByTime(1_100);
  }
  vi.advanceTimersByTime(2_000);
  expect(onElapsed).not.toHaveBeenCalled();
  vi.advanceTimersByTime(2_000);
  expect(onElapsed).toHaveBeenCalledTimes(1);
});

test("looks at what has moved before it says that nothing has", () => {
  const onElapsed = vi.fn();
  let moved = 0;
  afterStandstill({ ms: 1_000, progress: () => moved }, onElapsed);
  // As after a thaw: the timer is due before anything that arrived has been read.
  setTimeout(() => setImmediate(() => moved++), 0);
  vi.setSystemTime(Date.now() + 65_000);
  vi.advanceTimersByTime(1_000);
  expect(onElapsed).not.toHaveBeenCalled();
});
