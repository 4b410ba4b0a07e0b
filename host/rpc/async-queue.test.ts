import { expect, test } from "vitest";
import { AsyncQueue } from "./async-queue.ts";

test("gives what was pushed in order, waits for more, and ends after the last", async () => {
  const queue = new AsyncQueue<number>();
  queue.push(1);
  const reader = queue[Symbol.asyncIterator]();
  expect((await reader.next()).value).toBe(1);
  const next = reader.next();
  queue.push(2);
  expect((await next).value).toBe(2);
  queue.push(3);
  queue.end();
  queue.push(4);
  expect((await reader.next()).value).toBe(3);
  expect((await reader.next()).done).toBe(true);
});
