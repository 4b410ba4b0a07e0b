import { expect, test } from "vitest";
import { durationText } from "../parts/duration.ts";
import { ticks, tickText } from "./ticks.ts";
import { toolInputText } from "./tool-input.ts";

test("a tool's input is told value by value, as it is meant, and one that is cut as it came", () => {
  expect(toolInputText('{"command":"a\\nb","timeout":5,"deep":{"x":[1]}}')).toBe(
    '"command":\na\nb\n"timeout": 5\n"deep":\n{\n  "x": [\n    1\n  ]\n}',
  );
  // A name cannot pose as a value.
  expect(toolInputText('{"a\\n\\"b":"c"}')).toBe('"a\\n\\"b": c');
  for (const text of ['{"command":"a', "[1,2]", '"text"', "null", "{}".padEnd(300_000)]) {
    expect(toolInputText(text)).toBe(text);
  }
});

test("times are told to the millisecond", () => {
  expect([0, 999, 1000, 59_999, 60_000, 3_723_004, -5].map(durationText)).toEqual([
    "0 ms",
    "999 ms",
    "1.000 s",
    "59.999 s",
    "1:00.000",
    "1:02:03.004",
    "0 ms",
  ]);
});

test("an axis marks few round times, from a millisecond to months", () => {
  const marks = (fromMs: number, toMs: number) => {
    const { step, at } = ticks(fromMs, toMs, 5);
    return at.map((time) => tickText(time, step));
  };
  expect(marks(0, 9)).toEqual(["0 ms", "2 ms", "4 ms", "6 ms", "8 ms"]);
  expect(marks(1200, 2700)).toEqual(["1.5 s", "2 s", "2.5 s"]);
  expect(marks(0, 200_000)).toEqual(["0 s", "1:00", "2:00", "3:00"]);
  expect(marks(3_600_000, 4_000_000)).toEqual(["1:00:00", "1:02:00", "1:04:00", "1:06:00"]);
  expect(marks(0, 90 * 86_400_000).length).toBeLessThanOrEqual(6);
});
