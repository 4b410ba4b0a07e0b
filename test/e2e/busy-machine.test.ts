import { expect, test } from "vitest";
import { runOnBusyMachine } from "../load/busy-machine.ts";

test("sessions whose containers get no processor for seconds keep their connection, their answers, and succeed", async ({
  signal,
}) => {
  const figures = await runOnBusyMachine({
    busyCount: 4,
    concurrent: 2,
    seconds: 12,
    seed: 1,
    answerSeconds: [10, 14],
    starve: { everySeconds: 3, seconds: [7, 8] },
    signal,
  });
  expect(figures.starved).toBeGreaterThan(0);
  expect(figures).toMatchObject({ failures: [], connectionsLost: 0, answersCut: 0 });
});
