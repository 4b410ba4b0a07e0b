import { create } from "@bufbuild/protobuf";
import { type UsageSum, UsageSumSchema } from "../../../proto/control.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** Returns the last days in UTC, today included, the oldest first. */
export function daysBack(count: number, nowMs = Date.now()): string[] {
  return Array.from({ length: count }, (_, index) =>
    new Date(nowMs - (count - 1 - index) * DAY_MS).toISOString().slice(0, 10),
  );
}

/** Returns one sum for each day, an empty one where nothing was used. */
export function withAllDays(sums: readonly UsageSum[], days: readonly string[]): UsageSum[] {
  const byDay = new Map(sums.map((sum) => [sum.day, sum]));
  return days.map((day) => byDay.get(day) ?? create(UsageSumSchema, { day }));
}
