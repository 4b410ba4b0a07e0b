import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { UsageSumSchema } from "../../../proto/control.ts";
import { daysBack, withAllDays } from "./days.ts";

test("days without use are in a row with the others", () => {
  const days = daysBack(3, Date.parse("2026-03-01T12:00:00Z"));
  expect(days).toEqual(["2026-02-27", "2026-02-28", "2026-03-01"]);
  const sums = withAllDays([create(UsageSumSchema, { day: "2026-02-28", sessionCount: 2 })], days);
  expect(sums.map(({ day, sessionCount }) => [day, sessionCount])).toEqual(
    days.map((day, at) => [day, at === 1 ? 2 : 0]),
  );
});
