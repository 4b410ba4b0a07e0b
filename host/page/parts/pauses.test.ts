import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Pauses } from "./pauses.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const { signal } = new AbortController();

/** Lets a pause go by, and returns how long it was (ms). */
async function length(pauses: Pauses): Promise<number> {
  const from = Date.now();
  const rested = pauses.rest(signal);
  await vi.advanceTimersToNextTimerAsync();
  await rested;
  return Date.now() - from;
}

test("pauses double up to a bound, and are short again once the host has answered", async () => {
  const pauses = new Pauses();
  const lengths = [];
  for (let count = 0; count < 7; count++) lengths.push(await length(pauses));
  expect(lengths).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
  pauses.reset();
  expect(await length(pauses)).toBe(500);
});

test("a pause ends when somebody wants it to, or with its signal, and leaves nothing", async () => {
  const pauses = new Pauses();
  const woken = pauses.rest(signal);
  pauses.wake();
  await woken;
  const over = new AbortController();
  const ended = pauses.rest(over.signal);
  over.abort();
  await ended;
  await pauses.rest(over.signal);
  expect(vi.getTimerCount()).toBe(0);
});
