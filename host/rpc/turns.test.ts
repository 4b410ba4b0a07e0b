import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { Turns } from "./turns.ts";

test("gives many loops together no more time in a turn than one, and each as much as the others", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const turns = new Turns();
  const done = Array.from({ length: 20 }, () => 0);
  const loops = done.map(async (_none, index) => {
    while (done[index]! < 100) {
      vi.advanceTimersByTime(1);
      done[index]!++;
      if (turns.over) await turns.next();
    }
  });
  const sum = () => done.reduce((total, each) => total + each, 0);
  for (let before = sum(); before < 20 * 100; before = sum()) {
    await nextTurn();
    expect(sum() - before).toBeLessThanOrEqual(6);
    expect(Math.max(...done) - Math.min(...done)).toBeLessThanOrEqual(10);
  }
  await Promise.all(loops);
});

test("lets a loop that waits go on when there is no other", async () => {
  await new Turns().next();
});
