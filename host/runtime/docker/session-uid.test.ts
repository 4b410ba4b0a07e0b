import { expect, test } from "vitest";
import { BASE_UID_OFFSET, pickSessionUid } from "./session-uid.ts";

test("picks among the free uids only, every one of them", () => {
  const taken = new Set([20_000, 20_002]);
  expect(pickSessionUid(taken, () => 0)).toBe(20_001);
  expect(pickSessionUid(taken, () => 1.5 / 998)).toBe(20_003);
  expect(pickSessionUid(taken, () => 0.999999)).toBe(20_999);
});

test("picks none where all are taken", () => {
  const taken = new Set(Array.from({ length: 1000 }, (_, slot) => 20_000 + slot));
  expect(pickSessionUid(taken, Math.random)).toBeUndefined();
});

test("keeps the base uids apart from the sessions'", () => {
  expect(20_000 + BASE_UID_OFFSET).toBeGreaterThan(20_999);
});
