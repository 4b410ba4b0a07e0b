import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { afterRunning } from "./running-time.ts";

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
