import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HostPresence } from "./host-presence.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("reports once that no host has been there for the time, and again when it happens anew", () => {
  const onAbsent = vi.fn();
  const presence = HostPresence.watch({ timeoutMs: 2_500, onAbsent });
  vi.advanceTimersByTime(2_499);
  expect(onAbsent).not.toHaveBeenCalled();
  vi.advanceTimersByTime(10_000);
  expect(onAbsent).toHaveBeenCalledTimes(1);
  presence.change(true);
  vi.advanceTimersByTime(10_000);
  presence.change(false);
  vi.advanceTimersByTime(2_500);
  expect(onAbsent).toHaveBeenCalledTimes(2);
  presence.close();
});

test("does not leave while somebody reads what a session has left", () => {
  const onAbsent = vi.fn();
  const presence = HostPresence.watch({ timeoutMs: 1_000, onAbsent });
  {
    using _here = presence.stay();
    vi.advanceTimersByTime(60_000);
  }
  vi.advanceTimersByTime(999);
  expect(onAbsent).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onAbsent).toHaveBeenCalledTimes(1);
  presence.close();
});
