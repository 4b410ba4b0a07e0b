import { expect, test } from "vitest";
import { collectYoungGarbage } from "../test/support/collect-garbage.ts";
import { Notifier } from "./notifier.ts";

test("wakes all that wait, once", async () => {
  const notifier = new Notifier();
  const first = [notifier.next(), notifier.next({ signal: new AbortController().signal, timeoutMs: 60_000 })];
  notifier.notify();
  expect(await Promise.all(first)).toEqual([true, true]);
  let woken = false;
  const second = notifier.next().then(() => (woken = true));
  await Promise.resolve();
  expect(woken).toBe(false);
  notifier.notify();
  await second;
});

test("gives up on an abort and when nothing changes for long", async () => {
  const notifier = new Notifier();
  expect(await notifier.next({ timeoutMs: 1 })).toBe(false);
  const abort = new AbortController();
  const waiting = notifier.next({ signal: abort.signal });
  abort.abort();
  expect(await waiting).toBe(false);
  expect(await notifier.next({ signal: abort.signal })).toBe(false);
});

test("those who have waited go with the collections of young objects, however often that is", async () => {
  const notifier = new Notifier();
  const young = async () => {
    for (let count = 0; count < 10_000; count++) {
      const waiting = notifier.next();
      notifier.notify();
      await waiting;
    }
    collectYoungGarbage();
    return process.memoryUsage().heapUsed;
  };
  for (let round = 0; round < 5; round++) await young();
  const before = await young();
  for (let round = 0; round < 10; round++) await young();
  expect((await young()) - before).toBeLessThan(2 * 1024 * 1024);
});
