import { expect, test } from "vitest";
import { topsOf, visibleRange } from "./visible-range.ts";

const heights = [10, 30, 20, 40];
const tops = topsOf(heights, (height) => height);

test("items begin where those before them end", () => {
  expect([...tops]).toEqual([0, 10, 40, 60, 100]);
});

test("an item is seen as far as it reaches into the stretch, for every stretch", () => {
  for (let from = -20; from < 120; from += 5) {
    for (let to = from + 5; to < 140; to += 5) {
      const seen = heights.map((_, index) => index).filter((index) => tops[index + 1]! > from && tops[index]! < to);
      const [start, end] = visibleRange(tops, { from, to });
      expect({ from, to, seen: heights.map((_, index) => index).slice(start, end) }).toEqual({ from, to, seen });
    }
  }
});

test("of nothing, nothing is seen", () => {
  expect(
    visibleRange(
      topsOf([], () => 1),
      { from: -400, to: 400 },
    ),
  ).toEqual([0, 0]);
});
