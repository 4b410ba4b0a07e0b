import { expect, test } from "vitest";
import { spawnInputSchema } from "./mcp/spawn-input.ts";
import { nearestName } from "./nearest-name.ts";

const known = Object.keys(spawnInputSchema.shape);

test.each([
  ["repo", "repository"],
  ["repositoryUrl", "repository"],
  ["timeout", "timeout_seconds"],
  ["idle_timeout", "idle_timeout_seconds"],
  ["allowed_hosts", "allowed_destinations"],
  ["maxCostUsd", "max_cost_usd"],
  ["timeout_second", "timeout_seconds"],
  ["permissions", "permission_mode"],
])("takes %s for %s", (given, meant) => expect(nearestName(given, known)).toBe(meant));

test.each(["prompt", "tiemout", "x", "", "ñ", "__proto__"])("takes %j for none", (given) =>
  expect(nearestName(given, known)).toBeUndefined(),
);
