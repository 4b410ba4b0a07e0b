import { expect, test } from "vitest";
import { spawnInputSchema } from "./spawn-input.ts";
import { toolArguments } from "./tool-arguments.ts";

test("refuses what it does not know, and names what is", () => {
  const { error } = toolArguments(spawnInputSchema.shape).safeParse({ task: "x", repo: "y", zzz: 1 });
  expect(error?.issues.map(({ message }) => message)).toEqual([
    expect.stringMatching(
      /^There is no argument "repo"\. Did you mean repository\? There is no argument "zzz"\. Known are task, repository, .*\.$/,
    ),
  ]);
});
