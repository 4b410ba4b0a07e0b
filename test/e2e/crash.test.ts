import { expect, test } from "vitest";
import { runCrashes } from "../crash/crash-run.ts";

// A small, seeded cut of `npm run soak`.
test("sessions whose host, bridges and containers are killed end as they must, with their whole log", async () => {
  const report = await runCrashes({
    seed: 20261122,
    kills: 10,
    concurrent: 2,
    kinds: ["host", "host", "bridge", "bridge", "agent", "container", "remove", "pooled", "claim"],
    task: "[scenario: long-run seconds=5 steps=6]",
  });
  expect(report.wrong).toEqual([]);
  expect(report.sessions).toBeGreaterThan(2);
});
