import { clock } from "../../present/status-line.ts";

/** Steps between ticks that people read easily (ms), up to a day. */
const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
  3_600_000, 7_200_000, 21_600_000, 86_400_000,
];

/** Returns the times between two that an axis marks, at most `most` of them, and the step between them (ms). */
export function ticks(fromMs: number, toMs: number, most: number): { step: number; at: number[] } {
  const length = Math.max(1, toMs - fromMs);
  const longest = STEPS.at(-1)!;
  const step = STEPS.find((each) => length / each <= most) ?? longest * Math.ceil(length / longest / most);
  const first = Math.ceil(fromMs / step) * step;
  return {
    step,
    at: Array.from({ length: Math.floor((toMs - first) / step) + 1 }, (_, index) => first + index * step),
  };
}

/** Returns a time of an axis in the unit of its step: "1:30", "2.5 s", "40 ms". */
export function tickText(ms: number, step: number): string {
  if (step < 1000) return ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`;
  return ms < 60_000 ? `${ms / 1000} s` : clock(ms / 1000);
}
