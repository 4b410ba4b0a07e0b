import { expect, test } from "vitest";
import { dollars } from "./budgets.ts";

test.each([
  [0, "$0.00"],
  [0.002, "$0.0020"],
  [0.05, "$0.050"],
  [0.5, "$0.50"],
  [12.345, "$12.35"],
  [1e-300, "$0.0000000000"],
])("shows %d dollars as %s", (usd, shown) => {
  expect(dollars(usd)).toBe(shown);
});
