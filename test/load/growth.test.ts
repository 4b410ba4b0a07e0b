import { expect, test } from "vitest";
import { growsLinearly, growthPerSession } from "./growth.ts";

const line = (value: (after: number) => number) =>
  Array.from({ length: 9 }, (_, index) => ({ after: 25 * index, value: value(25 * index) }));

test("tells what grows with every session from what fills up, jumps once, or goes up and down", () => {
  const noise = (after: number) => (after % 50 === 0 ? 900_000 : -900_000);
  expect(growthPerSession(line((after) => 7 * after))).toBeCloseTo(7);
  expect(
    growsLinearly(
      line((after) => 400_000 * after + noise(after)),
      30_000,
    ),
  ).toBe(true);
  expect(
    growsLinearly(
      line((after) => Math.min(after, 50) * 400_000 + noise(after)),
      30_000,
    ),
  ).toBe(false);
  expect(
    growsLinearly(
      line((after) => (after < 100 ? 0 : 20_000_000)),
      30_000,
    ),
  ).toBe(false);
  expect(growsLinearly(line(noise), 30_000)).toBe(false);
  expect(growsLinearly([], 30_000)).toBe(false);
});
