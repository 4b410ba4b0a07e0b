import { expect, test } from "vitest";
import { spawnInputSchema } from "./spawn-input.ts";
import { nearestName, toolArguments } from "./tool-arguments.ts";

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

test("refuses what it does not know, and names what is", () => {
  const { error } = toolArguments(spawnInputSchema.shape).safeParse({ task: "x", repo: "y", zzz: 1 });
  expect(error?.issues.map(({ message }) => message)).toEqual([
    expect.stringMatching(
      /^There is no argument "repo"\. Did you mean repository\? There is no argument "zzz"\. Known are task, repository, .*\.$/,
    ),
  ]);
});
