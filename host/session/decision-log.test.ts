import { expect, test } from "vitest";
import { DecisionLog } from "./decision-log.ts";

const refused = (number: number) => ({ destination: `${number}.test:443`, allowed: false, reason: "not on the list" });
const allowed = { destination: "a.test:443", allowed: true, reason: "" };

test("tells each decision once", () => {
  const log = new DecisionLog();
  expect(log.next(allowed)).toEqual(allowed);
  expect(log.next(allowed)).toBeUndefined();
  expect(log.next(refused(1))).toEqual(refused(1));
});

test("ends a flood of refusals, says so, and still tells what is allowed", () => {
  const log = new DecisionLog();
  const told = Array.from({ length: 1000 }, (_, number) => log.next(refused(number))).filter((each) => each);
  expect(told).toHaveLength(201);
  expect(told.at(-1)).toMatchObject({ destination: "(others)", allowed: false });
  expect(log.next(allowed)).toEqual(allowed);
});
