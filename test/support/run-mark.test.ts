import { expect, test } from "vitest";
import { isOfAnotherRun, markedHostId } from "./run-mark.ts";

test("a run knows the hosts of another one, and takes all that carry no mark for its own", () => {
  const own = markedHostId();
  expect(own).toMatch(/^run-[A-Za-z0-9]{6}-[0-9a-f-]{36}$/);
  const other = own.replace(/^run-.{6}/, (mark) => `run-${mark === "run-AAAAAA" ? "BBBBBB" : "AAAAAA"}`);
  expect([own, other, "5b8e3c52-0000", "", "root@machine"].map(isOfAnotherRun)).toEqual([
    ...[false, true, false, false, false],
  ]);
});
